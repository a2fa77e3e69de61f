//! Charts as inline SVG, drawn with attributes alone. Each has a text that says the same.

use maud::{Markup, html};

/// Width and height of what is drawn, in units of the drawing; the page stretches it.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// Points of a line: more cannot be told apart.
const MOST_POINTS: usize = 300;

/// A small line without axes: how something went lately. `says` is read to those who cannot see it.
pub(crate) fn sparkline(values: &[f64], says: &str) -> Markup {
    const SIZE: (f64, f64) = (88.0, 22.0);
    let values = thinned(values);
    let most = values.iter().copied().fold(0.0, f64::max);
    let points = points(&values, most, SIZE);
    let class = if most > 0.0 { "spark" } else { "spark flat" };
    html! {
        svg class=(class) width="88" height="24" viewBox="0 -1 88 24" role="img" aria-label=(says) {
            @if values.len() > 1 {
                path.under d=(area(&points, SIZE)) {}
                path.over d=(line(&points)) {}
            } @else {
                path.over d="M0 21.5H88" {}
            }
        }
    }
}

/// One line of a chart.
pub(crate) struct Series<'a> {
    /// What it shows.
    pub(crate) label: &'a str,
    /// From the oldest to the newest, at the same distances.
    pub(crate) values: &'a [f64],
}

/// What a chart shows, beside its lines.
pub(crate) struct Axes<'a> {
    /// What it is about.
    pub(crate) title: &'a str,
    /// The moments at the edge below, from the left to the right.
    pub(crate) moments: &'a [String],
    /// A value in words.
    pub(crate) words: fn(f64) -> String,
    /// How long it is from the left edge to the right one, in milliseconds.
    pub(crate) span_ms: u64,
}

/// Lines over time, with the largest value at the top and 0 at the bottom. At most three lines.
pub(crate) fn lines(axes: &Axes<'_>, series: &[Series<'_>]) -> Markup {
    let most = top(series
        .iter()
        .flat_map(|it| it.values)
        .copied()
        .fold(0.0, f64::max));
    let says = said(axes, series);
    html! {
        figure.plot {
            div.legend {
                @for (series, class) in series.iter().zip(["a", "b", "c"]) {
                    span.(class) { (swatch()) span.quiet { (series.label) } " " strong { (now(axes, series)) } }
                }
            }
            div.plot-area {
                div.scale aria-hidden="true" { span { ((axes.words)(most)) } span { ((axes.words)(most / 2.0)) } span { "0" } }
                svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(says)
                    data-span=(axes.span_ms) {
                    @for y in [0.5, HEIGHT / 2.0, HEIGHT - 0.5] { line.rule x1="0" x2=(WIDTH) y1=(y) y2=(y) {} }
                    line.cursor y1="0" y2=(HEIGHT) visibility="hidden" {}
                    @for (series, class) in series.iter().zip(["a", "b", "c"]) {
                        @let values = thinned(series.values);
                        @let points = points(&values, most, (WIDTH, HEIGHT));
                        @if points.len() > 1 {
                            g.(class) data-words=(all_in_words(axes, &values)) {
                                path.under d=(area(&points, (WIDTH, HEIGHT))) {}
                                path.over d=(line(&points)) {}
                            }
                        }
                    }
                }
                div.moments aria-hidden="true" { @for moment in axes.moments { span { (moment) } } }
            }
        }
    }
}

fn swatch() -> Markup {
    html! { svg width="18" height="8" viewBox="0 0 18 8" aria-hidden="true" { path.over d="M1 4H17" {} } }
}

fn now(axes: &Axes<'_>, series: &Series<'_>) -> String {
    series
        .values
        .last()
        .map_or_else(String::new, |value| (axes.words)(*value))
}

/// Each value in words, for the script, which shows the one under the pointer.
fn all_in_words(axes: &Axes<'_>, values: &[f64]) -> String {
    let words: Vec<String> = values.iter().map(|value| (axes.words)(*value)).collect();
    words.join("|")
}

/// The chart in words.
fn said(axes: &Axes<'_>, series: &[Series<'_>]) -> String {
    let mut says = format!("{}.", axes.title);
    for series in series {
        let most = series.values.iter().copied().fold(0.0, f64::max);
        let (now, most) = (now(axes, series), (axes.words)(most));
        says.push_str(&format!(" {}: now {now}, at most {most}.", series.label));
    }
    says
}

/// The next round number, so that the scale can be read: 1, 2, 2.5 or 5 times a power of ten.
fn top(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= most).unwrap_or(most)
}

/// Three times of which 50, 95 and 99 % are not longer, on a scale on which each decade has the same width, from
/// 1 ms to `longest_ms`.
pub(crate) fn quantiles(ms: [f64; 3], longest_ms: f64, says: &str) -> Markup {
    let decades = longest_ms.max(10.0).log10();
    let at = |ms: f64| 6.0 + 188.0 * (ms.max(1.0).log10() / decades).clamp(0.0, 1.0);
    let [half, most, nearly_all] = ms.map(at);
    html! {
        svg.quantiles viewBox="0 0 200 14" preserveAspectRatio="xMinYMid" role="img" aria-label=(says) {
            line.line x1=(round(half)) x2=(round(nearly_all)) y1="7" y2="7" {}
            circle.dot cx=(round(nearly_all)) cy="7" r="2.5" {}
            circle.dot cx=(round(most)) cy="7" r="4" {}
            circle.half cx=(round(half)) cy="7" r="4" {}
        }
    }
}

/// A bar of which a part is filled.
pub(crate) fn bar(part: f64, says: &str) -> Markup {
    let part = if part.is_finite() {
        part.clamp(0.0, 1.0)
    } else {
        0.0
    };
    html! {
        svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=(says) {
            rect.all width="100" height="6" {}
            rect width=(round(part * 100.0)) height="6" {}
        }
    }
}

/// At most [`MOST_POINTS`] values; each stands for some neighbours and is the largest of them, so that no peak is lost.
fn thinned(values: &[f64]) -> Vec<f64> {
    let finite = |value: &f64| {
        if value.is_finite() {
            value.max(0.0)
        } else {
            0.0
        }
    };
    let together = values.len().div_ceil(MOST_POINTS).max(1);
    let chunks = values.chunks(together);
    chunks
        .map(|chunk| chunk.iter().map(finite).fold(0.0, f64::max))
        .collect()
}

fn points(values: &[f64], most: f64, (width, height): (f64, f64)) -> Vec<(f64, f64)> {
    let most = if most > 0.0 { most } else { 1.0 };
    let step = width / values.len().saturating_sub(1).max(1) as f64;
    let point = |(at, value): (usize, &f64)| {
        (
            at as f64 * step,
            height - value / most * (height - 1.0) - 0.5,
        )
    };
    values.iter().enumerate().map(point).collect()
}

fn line(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let to = if at == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{to}{} {}", round(*x), round(*y)));
    }
    path
}

fn area(points: &[(f64, f64)], (width, height): (f64, f64)) -> String {
    format!("{}L{width} {height}L0 {height}Z", line(points))
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: f64) -> String {
        format!("{value} jobs")
    }

    #[test]
    fn a_sparkline_goes_from_edge_to_edge() {
        let drawn = sparkline(&[0.0, 5.0, 10.0], "ended").into_string();
        assert!(drawn.contains(r#"aria-label="ended""#));
        assert!(drawn.contains(r#"d="M0 21.5L44 11L88 0.5""#), "{drawn}");
    }

    #[test]
    fn odd_values_draw_something() {
        for values in [
            vec![],
            vec![1.0],
            vec![f64::NAN, f64::INFINITY, -5.0],
            vec![0.0; 9],
        ] {
            let drawn = sparkline(&values, "x").into_string();
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
    }

    #[test]
    fn a_day_of_minutes_is_thinned_and_keeps_its_peak() {
        let mut day = vec![1.0; 1_440];
        day[777] = 99.0;
        let thin = thinned(&day);
        assert!(thin.len() <= MOST_POINTS && thin.contains(&99.0));
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!(
            [0.0, 0.7, 1.0, 23.0, 260.0].map(top),
            [1.0, 1.0, 1.0, 25.0, 500.0]
        );
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let axes = Axes {
            title: "A day",
            moments: &[],
            words,
            span_ms: 60_000,
        };
        let drawn = lines(
            &axes,
            &[Series {
                label: "Ended",
                values: &[1.0, 7.0, 3.0],
            }],
        )
        .into_string();
        assert!(
            drawn.contains("A day. Ended: now 3 jobs, at most 7 jobs."),
            "{drawn}"
        );
        assert!(!drawn.contains("style="));
    }
}
