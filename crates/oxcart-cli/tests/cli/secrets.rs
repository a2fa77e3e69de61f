//! The password shows nowhere.

use crate::rig::{Rig, Said, program};
use crate::support::Port;

const PASSWORD: &str = "s3cr3t-w0rd";

#[tokio::test]
async fn the_password_shows_in_no_output_of_whatever_goes_wrong() {
    let rig = Rig::filled().await;
    rig.server.cli(&["CONFIG", "SET", "requirepass", PASSWORD]);
    let address = rig.server.tcp_addr();
    let right = format!("redis://:{PASSWORD}@{address}/");
    let nobody = Port::claim().address();
    let urls = [
        right.clone(),
        format!("redis://:{PASSWORD}-wrong@{address}/"),
        format!("redis://:{PASSWORD}@{nobody}/"),
        format!("redis://user:{PASSWORD}@{address}/no-number"),
        format!("redis://:{PASSWORD}@[::1/"),
        format!("rediss://:{PASSWORD}@{address}/"),
        format!("http://:{PASSWORD}@{address}/"),
        format!(":{PASSWORD}@{address}"),
    ];
    let check = |said: Said, how: &str| {
        for text in [&said.out, &said.err] {
            assert!(!text.contains(PASSWORD), "{how}:\n{text}");
        }
        said
    };
    for url in &urls {
        for more in [&[][..], &["--json"], &["--verbose"]] {
            let args = [&["doctor"], more].concat();
            check(program(url).args(&args).output().unwrap().into(), url);
            let option = [&["queue", "ls", "--url", url], more].concat();
            check(
                program("redis://127.0.0.1:1/")
                    .args(&option)
                    .output()
                    .unwrap()
                    .into(),
                url,
            );
        }
    }
    // The variable shows neither in the help, nor in the list of processes.
    check(
        program(&right).args(["--help"]).output().unwrap().into(),
        "help",
    );
    check(
        program(&right)
            .args(["queue", "--help"])
            .output()
            .unwrap()
            .into(),
        "help",
    );
    let option = program("redis://127.0.0.1:1/")
        .args(["queue", "ls", "--url", &right])
        .output();
    let said = check(option.unwrap().into(), "option").expect(0);
    assert!(said.err.contains("OXCART_REDIS_URL"), "{}", said.err);
    let variable = program(&right).args(["queue", "ls"]).output().unwrap();
    assert_eq!(Said::from(variable).expect(0).err, "");
}
