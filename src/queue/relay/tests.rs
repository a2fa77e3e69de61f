//! Relays that die, are late, or meet one another.
