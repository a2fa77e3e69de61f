//! Tokens by which people and programs sign in. A wrong one is refused in the same time as a right one, and then slowed down.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::{Instant, sleep_until};

use crate::access::Access;

/// Shortest token, in characters.
const SHORTEST: usize = 16;
/// How long a browser stays signed in.
pub(super) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// After the first wrong token; each further one takes twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Answers to wrong tokens from one address wait for one another; beyond this time, tokens from there are not looked at.
const WAITING_MAX: Duration = Duration::from_secs(10);
/// Wrong tokens are forgotten after this time.
const FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// Addresses that are remembered.
const ADDRESSES: usize = 1_024;

/// A token that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakToken;

impl fmt::Display for WeakToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token has at least {SHORTEST} characters; `openssl rand -hex 16` makes a good one"
        )
    }
}

impl std::error::Error for WeakToken {}

struct Token {
    digest: [u8; 32],
    access: Access,
}

/// What became of a token.
pub(super) enum Checked {
    Right(Access),
    Wrong,
    /// It was not looked at: too many wrong ones came from there.
    TooMany,
}

#[derive(Default)]
pub(crate) struct Tokens {
    tokens: Vec<Token>,
    /// By the network that they came from: how many were wrong, and when the answer to the last one is given.
    wrong: Mutex<HashMap<Option<IpAddr>, (u32, Instant)>>,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who counts as one: with IPv6, everybody has a whole network of addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl Token {
    /// What a cookie holds: when it ends, and a proof that only somebody with the token can make.
    fn session(&self, ends_at: u64) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(&self.digest);
        let proof = mac.map(|mut mac| {
            mac.update(format!("oxcart dashboard session until {ends_at}").as_bytes());
            mac.finalize().into_bytes()
        });
        // A key of any length is fine, so there is a proof.
        format!(
            "{ends_at}.{}",
            proof.map_or_else(|_| String::new(), |proof| hexadecimal(&proof))
        )
    }
}

impl Tokens {
    pub(crate) fn add(&mut self, token: &str, access: Access) -> Result<(), WeakToken> {
        if token.chars().count() < SHORTEST {
            return Err(WeakToken);
        }
        let digest = digest(token);
        self.tokens.push(Token { digest, access });
        Ok(())
    }

    /// Looks at all tokens, whichever is right.
    fn find(&self, is_right: impl Fn(&Token) -> subtle::Choice) -> Option<&Token> {
        let mut found = None;
        for token in &self.tokens {
            if bool::from(is_right(token)) {
                found = Some(token);
            }
        }
        found
    }

    fn token(&self, given: &str) -> Option<&Token> {
        let given = digest(given);
        self.find(|token| token.digest.ct_eq(&given))
    }

    /// A wrong token is answered late.
    pub(super) async fn check(&self, given: &str, from: Option<IpAddr>) -> Checked {
        let from = from.map(network);
        if self.waits_too_long(from) {
            return Checked::TooMany;
        }
        match self.token(given) {
            Some(token) => Checked::Right(token.access.clone()),
            None => {
                sleep_until(self.answered_at(from)).await;
                Checked::Wrong
            }
        }
    }

    /// What the cookie of somebody holds who has signed in with this token.
    pub(super) fn session_of(&self, token: &str) -> Option<String> {
        let ends_at = now_seconds() + SESSION.as_secs();
        Some(self.token(token)?.session(ends_at))
    }

    /// Whose cookie it is, if it is one of ours and has not ended.
    pub(super) fn signed_in(&self, cookie: &str) -> Option<Access> {
        let (ends_at, _) = cookie.split_once('.')?;
        let ends_at: u64 = ends_at.parse().ok()?;
        if ends_at < now_seconds() {
            return None;
        }
        let found = self.find(|token| token.session(ends_at).as_bytes().ct_eq(cookie.as_bytes()));
        found.map(|token| token.access.clone())
    }

    fn waits_too_long(&self, from: Option<IpAddr>) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong
            .get(&from)
            .is_some_and(|(_, at)| *at > Instant::now() + WAITING_MAX)
    }

    /// Notes a wrong token, and says when it is answered.
    fn answered_at(&self, from: Option<IpAddr>) -> Instant {
        let now = Instant::now();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&from) {
            wrong.retain(|_, (_, at)| *at + FORGOTTEN > now);
            let oldest = wrong.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(from, _)| *from)
                && wrong.len() >= ADDRESSES
            {
                wrong.remove(&oldest);
            }
        }
        let (times, at) = wrong.entry(from).or_insert((0, now));
        if *at + FORGOTTEN < now {
            *times = 0;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (*times).min(8));
        *times = times.saturating_add(1);
        *at = now.max(*at) + wait.min(LONGEST_WAIT);
        *at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    const RIGHT: &str = "0123456789abcdef";

    fn tokens() -> Tokens {
        let mut tokens = Tokens::default();
        let added = tokens.add(RIGHT, Access::new("ada", Role::Admin));
        added.unwrap();
        tokens
    }

    #[test]
    fn a_short_token_is_refused_at_once() {
        let mut tokens = Tokens::default();
        let added = tokens.add("secret", Access::new("ada", Role::Admin));
        assert_eq!(added, Err(WeakToken));
        assert!(tokens.token("secret").is_none() && tokens.token("").is_none());
    }

    #[test]
    fn a_cookie_is_good_for_its_token_and_its_time_alone() {
        let tokens = tokens();
        let cookie = tokens.session_of(RIGHT).unwrap();
        assert_eq!(tokens.signed_in(&cookie).unwrap().name(), "ada");
        assert!(tokens.session_of("another token here").is_none());
        let (ends_at, proof) = cookie.split_once('.').unwrap();
        let later = ends_at.parse::<u64>().unwrap() + 1;
        assert!(tokens.signed_in(&format!("{later}.{proof}")).is_none());
        assert!(tokens.signed_in(&format!("1.{proof}")).is_none());
        let ended = tokens.tokens[0].session(now_seconds() - 1);
        assert!(tokens.signed_in(&ended).is_none());
        for bad in ["", ".", "x.y", "99999999999."] {
            assert!(tokens.signed_in(bad).is_none(), "{bad}");
        }
        assert!(Tokens::default().signed_in(&cookie).is_none());
    }

    #[tokio::test]
    async fn wrong_tokens_are_slowed_down_and_others_are_not() {
        let tokens = tokens();
        let (here, there) = (Some([127, 0, 0, 1].into()), Some([127, 0, 0, 2].into()));
        let since = Instant::now();
        assert!(matches!(tokens.check("wrong", here).await, Checked::Wrong));
        assert!(since.elapsed() >= FIRST_WAIT);
        for _ in 0..4 {
            tokens.answered_at(here);
        }
        assert!(tokens.answered_at(here) > Instant::now() + Duration::from_secs(10));
        assert!(matches!(
            tokens.check(RIGHT, there).await,
            Checked::Right(_)
        ));
        // What comes from there is not even looked at now.
        assert!(matches!(tokens.check(RIGHT, here).await, Checked::TooMany));
    }

    #[tokio::test]
    async fn many_addresses_of_one_network_are_slowed_down_as_one() {
        let tokens = tokens();
        let address = |text: &str| Some(text.parse().unwrap());
        let wrong = |from| tokens.check("wrong", from);
        let since = Instant::now();
        tokio::join!(
            wrong(address("2001:db8:1:2::1")),
            wrong(address("2001:db8:1:2:ffff::2")),
            wrong(address("2001:db8:1:3::1")),
            wrong(address("192.0.2.1")),
            wrong(address("::ffff:192.0.2.1")),
        );
        assert!(since.elapsed() >= 3 * FIRST_WAIT, "one after the other");
        assert_eq!(tokens.wrong.lock().unwrap().len(), 3);
    }

    #[test]
    fn what_is_remembered_of_wrong_tokens_is_bounded() {
        let tokens = tokens();
        for number in 0..5_000_u32 {
            tokens.answered_at(Some(IpAddr::from(number.to_be_bytes())));
        }
        assert!(tokens.wrong.lock().unwrap().len() <= ADDRESSES);
    }
}
