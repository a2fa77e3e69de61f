//! Icons: 16 by 16, in the colour of the text beside them, which says the same in words.

use maud::{Markup, Render, html};

/// The outline of an icon, drawn with a line.
#[derive(Clone, Copy)]
pub(crate) struct Icon(&'static str);

impl Render for Icon {
    fn render(&self) -> Markup {
        html! {
            svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"
                stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" {
                path d=(self.0) {}
            }
        }
    }
}

/// A cart: two wheels, a shaft and its load.
pub(crate) const CART: Icon =
    Icon("M1.5 4h2l1.2 6h7.6l1.7-5H7M6 13.4a.9.9 0 1 0 0-.01M11.4 13.4a.9.9 0 1 0 0-.01");
pub(crate) const OVERVIEW: Icon =
    Icon("M2.5 2.5h4.5v6H2.5zM9 2.5h4.5v3.5H9zM9 8h4.5v5.5H9zM2.5 10.5H7v3H2.5z");
pub(crate) const RUNNING: Icon = Icon("M5 3.2v9.6L12.8 8z");
pub(crate) const SCHEDULE: Icon = Icon("M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.8V8l2.2 1.6");
pub(crate) const WORKER: Icon = Icon(
    "M4.5 4.5h7v7h-7zM6 2v2.5M10 2v2.5M6 11.5V14M10 11.5V14M2 6h2.5M2 10h2.5M11.5 6H14M11.5 10H14",
);
pub(crate) const ALERT: Icon =
    Icon("M4 11.5V7a4 4 0 0 1 8 0v4.5M2.8 11.5h10.4M6.8 13.6a1.3 1.3 0 0 0 2.4 0");
pub(crate) const AUDIT: Icon = Icon("M3.5 2.5h9v11h-9zM5.8 5.8h4.4M5.8 8.2h4.4M5.8 10.6h2.4");
pub(crate) const SEARCH: Icon =
    Icon("M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.3 10.3l3.2 3.2");
pub(crate) const WAITING: Icon = Icon("M2.5 4h11M2.5 8h11M2.5 12h6");
pub(crate) const BLOCKED: Icon = Icon("M4 7.5h8v6H4zM5.8 7.5V5.3a2.2 2.2 0 0 1 4.4 0v2.2");
pub(crate) const DELAYED: Icon =
    Icon("M4.5 2.5h7M4.5 13.5h7M5.5 2.5v2L8 8l2.5-3.5v-2M5.5 13.5v-2L8 8l2.5 3.5v2");
pub(crate) const DEAD: Icon =
    Icon("M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2");
pub(crate) const COMPLETED: Icon =
    Icon("M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM5.3 8.2l1.9 1.9 3.5-3.8");
pub(crate) const CANCELLED: Icon = Icon("M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM3.9 3.9l8.2 8.2");
pub(crate) const PAUSED: Icon = Icon("M5.5 3v10M10.5 3v10");
pub(crate) const WARNING: Icon = Icon("M8 2.4L14.3 13.3H1.7zM8 6.4v3M8 11.4v.05");
pub(crate) const EMPTY: Icon =
    Icon("M2.5 9l2-6h7l2 6v4.5h-11zM2.5 9h3.3c0 1.2 1 2.2 2.2 2.2s2.2-1 2.2-2.2h3.3");
pub(crate) const COPY: Icon = Icon("M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1");
pub(crate) const REPLAY: Icon = Icon("M2.8 8a5.2 5.2 0 1 0 1.7-3.85M2.6 2.4v2.7h2.7");
pub(crate) const REMOVE: Icon = Icon("M2.8 4.3h10.4M6.2 4.3V2.5h3.6v1.8M4.2 4.3l.6 9.2h6.4l.6-9.2");
pub(crate) const START: Icon = Icon("M8 13V3M4 7l4-4 4 4");
pub(crate) const LEAVE: Icon = Icon("M6.5 2.5h-4v11h4M10.5 5l3 3-3 3M13.5 8h-7");
pub(crate) const GONE: Icon =
    Icon("M2 6a9 9 0 0 1 12 0M4.3 8.6a5.6 5.6 0 0 1 7.4 0M8 12.2v.05M2.5 2.5l11 11");
pub(crate) const TASK: Icon = Icon("M2.5 4l1.2 1.2L6 3M2.5 11l1.2 1.2L6 10M8.5 4.5h5M8.5 11.5h5");
