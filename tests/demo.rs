//! What anybody runs first: the demo, from its first line to its exit status.

mod support;

use std::path::Path;
use std::process::Output;

const FILES: usize = 200;

fn folder_with_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("the system's temp folder is writable");
    std::fs::create_dir(folder.path().join("below")).expect("a new folder is writable");
    for number in 0..FILES {
        let below = if number % 2 == 0 { "" } else { "below/" };
        let text = "one line of five words\n".repeat(number * 20);
        let path = folder.path().join(format!("{below}{number}.txt"));
        std::fs::write(path, text).expect("a new folder is writable");
    }
    folder
}

fn run(folder: &Path) -> (Output, String) {
    let output = support::example("demo")
        .arg(folder)
        .output()
        .expect("the demo can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn demo_survives_its_own_sabotage_and_every_result_is_compared() {
    let folder = folder_with_files();
    let (output, text) = run(folder.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{text}\n{errors}",
        output.status
    );
    let recovered = text
        .lines()
        .find_map(|line| line.strip_prefix("  recovered  "))
        .and_then(|line| line.split(' ').next()?.parse::<usize>().ok());
    assert!(recovered.is_some_and(|jobs| jobs >= 1), "{text}");
    for line in [
        format!("{FILES} completed · 2 dead · 0 waiting · 0 delayed · 0 active"),
        format!("✓ {FILES} results compared with a plain sequential run"),
        "failed twice, then worked".to_owned(),
        "attempts-spent after 3 attempts".to_owned(),
        "No such file or directory".to_owned(),
        "declared after 1 attempt".to_owned(),
        "✓ no delayed job early".to_owned(),
        "make dashboard LEFT=1".to_owned(),
    ] {
        assert!(text.contains(&line), "there is no {line:?} in:\n{text}");
    }
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "a pipe is no terminal:\n{text}");
    assert_eq!(errors, "");
}

#[test]
fn demo_that_cannot_run_says_why() {
    let empty = tempfile::tempdir().expect("the system's temp folder is writable");
    for (folder, words) in [
        (empty.path().to_owned(), "no file to read"),
        (empty.path().join("missing"), "no folder"),
    ] {
        let (output, _) = run(&folder);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
    let server = empty.path().join("no-redis");
    let output = support::example("demo")
        .env("OXCART_REDIS_SERVER", server)
        .output();
    let output = output.expect("the demo can be started");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-redis"));
}
