//! What the figures were measured on.

use std::fs;
use std::process::Command;

use crate::contenders;

/// A line or two about the machine and what runs on it.
pub(crate) fn facts(redis: String) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let node = contenders::node_version().unwrap_or_else(|| "none".to_owned());
    let rustc = first_line(Command::new("rustc").arg("--version"));
    let commit = first_line(Command::new("git").args(["describe", "--always", "--dirty"]));
    format!(
        "{}, {cores} cores, {} · Redis {redis} on loopback TCP · {rustc} · Node {node} · oxcart {commit}",
        processor().unwrap_or_else(|| "unknown processor".to_owned()),
        std::env::consts::OS,
    )
}

fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success());
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
    text.and_then(|text| Some(text.lines().next()?.to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn processor() -> Option<String> {
    let Ok(info) = fs::read_to_string("/proc/cpuinfo") else {
        return Some(first_line(
            Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]),
        ));
    };
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
