//! The alert rules and the Grafana dashboard in `docs/monitoring` ask for nothing that the library does not tell. Whether the rules
//! fire is what `promtool test rules` tells (`make test-monitoring`).

use std::collections::{BTreeMap, BTreeSet};

use oxcart::metrics::{Metric, MetricKind};
use serde_json::Value;

const RULES: &str = include_str!("../../docs/monitoring/oxcart.rules.yml");
const CASES: &str = include_str!("../../docs/monitoring/oxcart.test.yml");
const GRAFANA: &str = include_str!("../../docs/monitoring/grafana.json");

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The metric whose series have this name.
fn metric_of(series: &str) -> Option<&'static Metric> {
    let is_of = |metric: &&Metric| {
        let endings: &[&str] = match metric.kind {
            MetricKind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        let rest = series.strip_prefix(metric.name);
        rest.is_some_and(|rest| endings.contains(&rest))
    };
    oxcart::metrics::all().iter().find(is_of)
}

/// Every series that is named in a text, with what stands behind it in `{..}`.
fn series_in(text: &str) -> Vec<(&str, &str)> {
    let starts = text.match_indices("oxcart_").map(|(start, _)| start);
    let found = starts.map(|start| {
        let rest = &text[start..];
        let end = rest.find(|letter| !is_of_word(letter));
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let matchers = behind
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'));
        (name, matchers.map_or("", |(matchers, _)| matchers))
    });
    found.collect()
}

/// Names of the labels in `queue="mail",state=~".."`.
fn labels_in(matchers: &str) -> Vec<&str> {
    let parts = matchers.split(',').filter(|part| part.contains('='));
    let names = parts.filter_map(|part| part.split(|letter| !is_of_word(letter)).next());
    names.filter(|name| !name.is_empty()).collect()
}

fn assert_known(text: &str, what: &str) -> BTreeSet<&'static str> {
    let mut named = BTreeSet::new();
    for (series, matchers) in series_in(text) {
        let metric =
            metric_of(series).unwrap_or_else(|| panic!("{what}: no such series: {series}"));
        for label in labels_in(matchers) {
            assert!(
                metric.labels.contains(&label) || ["le", "instance"].contains(&label),
                "{what}: {series} has no label {label}"
            );
        }
        named.insert(metric.name);
    }
    named
}

#[test]
fn rules_and_their_cases_name_real_metrics_and_each_alert_has_both_cases() {
    assert_known(RULES, "oxcart.rules.yml");
    assert_known(CASES, "oxcart.test.yml");
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts = alerts.collect::<Vec<_>>();
    assert!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        for case in ["fires", "does not fire"] {
            let start = format!("- name: '{alert} {case}: ");
            assert!(CASES.contains(&start), "no case: {start}");
        }
        let (_, rule) = RULES.split_once(&format!("- alert: {alert}\n")).unwrap();
        let rule = rule.split("- alert: ").next().unwrap();
        for part in ["severity: ", "summary: ", "description: ", "runbook: |"] {
            assert!(rule.contains(part), "{alert} has no {part}");
        }
        let (_, runbook) = rule.split_once("runbook: |").unwrap();
        assert!(!runbook.trim().is_empty(), "{alert}");
    }
}

/// `oxcart worker ls` in a runbook is a command that the page of the command describes.
#[test]
fn runbooks_name_real_commands() {
    let page = include_str!("../../docs/command-line.md");
    for command in RULES
        .split('`')
        .filter(|quoted| quoted.starts_with("oxcart "))
    {
        let words = command.split(' ').take(3);
        let words = words.take_while(|word| word.chars().all(|letter| letter.is_ascii_lowercase()));
        let verb = words.collect::<Vec<_>>().join(" ");
        assert!(page.contains(&verb), "docs/command-line.md has no `{verb}`");
    }
}

#[test]
fn grafana_dashboard_shows_every_metric_and_is_well_formed() {
    let shown = assert_known(&GRAFANA.replace("\\\"", "\""), "grafana.json");
    for metric in oxcart::metrics::all() {
        assert!(
            shown.contains(metric.name),
            "no panel shows {}",
            metric.name
        );
    }

    let dashboard: Value = serde_json::from_str(GRAFANA).unwrap();
    assert!(
        dashboard["schemaVersion"].as_u64() >= Some(36),
        "older ones are migrated by guess"
    );
    assert!(dashboard["id"].is_null(), "Grafana gives it an id");
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|variable| variable["name"] == name);
    assert_eq!(variable("datasource").unwrap()["type"], "datasource");
    assert_eq!(variable("datasource").unwrap()["query"], "prometheus");
    for name in ["queue", "job"] {
        assert_eq!(
            variable(name).unwrap()["datasource"]["uid"],
            "${datasource}"
        );
    }

    let mut places = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: its id is not unique"
        );
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        let (x, y, width, height) = (place("x"), place("y"), place("w"), place("h"));
        assert!(x + width <= 24, "{title} is wider than the page");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            let other = places.insert(cell, title);
            assert_eq!(other, None, "{title} lies over another panel");
        }
        let targets = panel["targets"].as_array();
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = targets.filter(|targets| !targets.is_empty());
        let targets = targets.unwrap_or_else(|| panic!("{title} asks for nothing"));
        let mut letters = BTreeSet::new();
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert!(letters.insert(target["refId"].as_str().unwrap()), "{title}");
            let question = target["expr"].as_str().unwrap();
            assert!(!series_in(question).is_empty(), "{title}: {question}");
            for part in question.split('$').skip(1) {
                let name = part.split(|letter| !is_of_word(letter)).next().unwrap();
                let is_known = name == "__rate_interval" || variable(name).is_some();
                assert!(is_known, "{title}: there is no ${name}");
            }
        }
    }
}
