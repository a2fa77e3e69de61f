//! Whatever is in an id, a name, an error or a payload is shown as text.

use oxcart::JobId;

use crate::rig::{ADMIN, Browser, Rig, Send};

const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
/// What the name of a job may have.
const NAME: &str = "<script>alert(4)<img\"'&";

#[tokio::test]
async fn hostile_text_is_shown_as_text_on_every_page() {
    let rig = Rig::new().await;
    let error = format!("{SCRIPT}\u{202e}\u{0}\u{1b}[31m{}", "x".repeat(3_000));
    let id = JobId::new("<script>alert(2)<!--").unwrap_or_else(|_| JobId::generate());
    let job = rig.queue.enqueue(Send {
        to: SCRIPT.to_owned(),
        ..Send::failing(&error)
    });
    job.id(id.clone())
        .named("send")
        .group(SCRIPT)
        .await
        .unwrap();
    rig.until_dead(1).await;
    let large = rig.queue.enqueue(Send::to(&"<b>".repeat(300_000)));
    let large = large.named(NAME).await.unwrap().id().clone();
    let hour = std::time::Duration::from_secs(3_600);
    let schedule = rig.queue.schedule("<script>alert(3)").every(hour);
    schedule.job(Send::to("ada")).await.unwrap();
    rig.queue.jobs_named(NAME).unwrap().pause().await.unwrap();

    let browser = Browser::signed_in(&rig.router(), "", ADMIN).await;
    let encoded = |text: &str| {
        let bytes = text.bytes().map(|byte| format!("%{byte:02x}"));
        bytes.collect::<String>()
    };
    let pages = [
        "/".to_owned(),
        "/alerts".to_owned(),
        "/queues/mail".to_owned(),
        format!("/queues/mail/jobs?state=dead&error={}", encoded(SCRIPT)),
        format!("/queues/mail/jobs?state=waiting&name={}", encoded(NAME)),
        format!("/queues/mail/jobs/{}", encoded(id.as_str())),
        format!("/queues/mail/jobs/{large}"),
        "/queues/mail/dead".to_owned(),
        "/queues/mail/schedules".to_owned(),
        "/queues/mail/audit".to_owned(),
        format!("/queues/{}", encoded("<script>")),
        format!("/queues/mail/jobs/{}", encoded("<script>")),
        format!("/login?back={}", encoded("/\"><script>alert(1)</script>")),
    ];
    for path in pages {
        let page = browser.get(&path).await.text;
        assert!(!page.contains("<script>"), "{path}: {page}");
        assert!(
            !page.contains("<img") && !page.contains("onerror=alert(1)>"),
            "{path}"
        );
        assert!(!page.contains("style=\""), "{path}: an inline style");
        assert!(
            !page.contains('\u{202e}') && !page.contains('\u{1b}'),
            "{path}"
        );
    }
}
