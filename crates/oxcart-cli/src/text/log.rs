//! What the library logs, shown on stderr with `--verbose`.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// From here on what is logged is shown, if that is wanted.
pub(crate) fn install(verbose: bool) {
    if !verbose {
        return;
    }
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = layer
        .with_ansi(crate::term::look::wants_colours(&console::Term::stderr()))
        .with_filter(LevelFilter::DEBUG);
    // It fails if there is a subscriber already; there is none in this program.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}
