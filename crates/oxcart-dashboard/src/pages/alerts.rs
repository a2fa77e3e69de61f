//! What is wrong at the moment.

use maud::{Markup, html};

use crate::chrome::Chrome;
use crate::model::Alerts;
use crate::pages::frame::Page;
use crate::pages::{icon, parts, text};

pub(crate) fn alerts(shown: &Alerts, chrome: &Chrome) -> Markup {
    let body = html! {
        section.panel aria-label="Alerts" {
            @if shown.alerts.is_empty() {
                (parts::empty(icon::COMPLETED, "Nothing needs a look", ""))
            } @else {
                ul.problems {
                    @for line in &shown.alerts {
                        li data-key={ "a-" (line.queue) "-" (text::plain(&line.text, 130)) } {
                            span.warn { (icon::WARNING) }
                            div.what { (parts::queue_link(chrome, &line.queue)) " " span.quiet { (text::inline_of(&line.text, 400)) } }
                            @if let Some(since) = line.since { span.quiet.small { "for " (parts::since(since, chrome.now)) } }
                        }
                    }
                }
            }
        }
    };
    Page::new("Alerts", body).framed(chrome)
}
