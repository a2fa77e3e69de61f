//! What the library logs: shown on stderr with `--verbose`, and kept for `doctor`, which tells the warnings.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// More are not kept.
const KEPT_MAX: usize = 64;

/// The warnings so far.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// From here on what is logged is kept, and shown if that is wanted.
pub(crate) fn install(verbose: bool) -> Warnings {
    let warnings = Warnings::default();
    let shown = verbose.then(|| {
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        layer
            .with_ansi(crate::term::look::wants_colours(&console::Term::stderr()))
            .with_filter(LevelFilter::DEBUG)
    });
    // It fails if there is a subscriber already; there is none in this program.
    let _ = tracing_subscriber::registry()
        .with(warnings.clone().with_filter(LevelFilter::WARN))
        .with(shown)
        .try_init();
    warnings
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(format!("{}{}", text.message, text.fields));
        }
    }
}

/// The message, and its fields but for the address, which is known.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "address" => Ok(()),
            name => write!(self.fields, "; {name}: {value:?}"),
        };
    }
}
