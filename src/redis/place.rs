//! Where a Redis is that has more than one address, as the application says it: by a URL or by settings.

use std::fmt;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};

use crate::error::Error;
use crate::redis::address;
use crate::redis::credentials::{Provider, SignIn};
use crate::redis::node::{Address, Node, invalid};
use crate::redis::tls::{self, Tls};

const SENTINEL_PORT: u16 = 26379;

const REDIS_PORT: u16 = 6379;
const CLUSTER_FORM: &str = "it looks like `redis+cluster://user:password@host:6379,host2:6379`";
const SENTINEL_FORM: &str =
    "it looks like `redis+sentinel://user:password@host:26379,host2:26379/master-name/0`";

/// A master that sentinels watch over: one value for
/// [`OxcartBuilder::connect_sentinels`](crate::OxcartBuilder::connect_sentinels).
///
/// ```no_run
/// # async fn example() -> Result<(), oxcart::Error> {
/// use oxcart::{Oxcart, Sentinels};
///
/// let sentinels = Sentinels::new("main", ["10.0.0.1:26379", "10.0.0.2:26379", "10.0.0.3:26379"])
///     .user("app", "secret")
///     .sentinel_password("another secret");
/// let oxcart = Oxcart::builder().connect_sentinels(sentinels).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Sentinels {
    pub(crate) name: String,
    hosts: Vec<String>,
    login: Login,
    sentinel_login: Login,
    database: i64,
    is_tls: bool,
}

/// User and password; both are optional.
#[derive(Clone, Default)]
struct Login {
    user: Option<String>,
    password: Option<String>,
}

impl Sentinels {
    /// The master of this name (`sentinel monitor <name> ..`), and the addresses of its sentinels, as `host:port`; without a port it is
    /// 26379. Name all sentinels, or as many as may be away at a time and one more.
    pub fn new(
        master: impl Into<String>,
        sentinels: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: master.into(),
            hosts: sentinels.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// User and password at the master. Default: none.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login.user = Some(user.into());
        self.password(password)
    }

    /// The password at the master, without a user (`requirepass`). Default: none.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(password.into());
        self
    }

    /// User and password at the sentinels. Default: none, and never those of the master.
    #[must_use]
    pub fn sentinel_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.sentinel_login.user = Some(user.into());
        self.sentinel_password(password)
    }

    /// The password at the sentinels, without a user. Default: none.
    #[must_use]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel_login.password = Some(password.into());
        self
    }

    /// The number of the database. Default 0.
    #[must_use]
    pub fn database(mut self, number: u32) -> Self {
        self.database = number.into();
        self
    }

    /// Connects with TLS, to the sentinels and to the master. Default: without.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// How connections to the master are made, how those to the sentinels, and where these are.
    pub(crate) fn access(
        &self,
        sign_in: SignIn<'_>,
    ) -> Result<(Access, Access, Vec<Address>), Error> {
        if self.name.is_empty() {
            return Err(wrong("the name of the master is missing", SENTINEL_FORM));
        }
        let master = Access::new(&self.login, self.database, self.is_tls, sign_in)?;
        // A provider is asked for Redis; the sentinels have users of their own.
        let provider = None;
        let of_sentinels = SignIn {
            provider,
            ..sign_in
        };
        let sentinels = Access::new(&self.sentinel_login, 0, self.is_tls, of_sentinels)?;
        let addresses = addresses_in(&self.hosts, SENTINEL_PORT, SENTINEL_FORM)?;
        Ok((master, sentinels, addresses))
    }
}

/// Without passwords.
impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels")
            .field("master", &self.name)
            .field("sentinels", &self.hosts.len())
            .field("database", &self.database)
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}

/// Nodes of a Redis Cluster: one value for [`OxcartBuilder::connect_cluster`](crate::OxcartBuilder::connect_cluster).
///
/// ```no_run
/// # async fn example() -> Result<(), oxcart::Error> {
/// use oxcart::{ClusterNodes, Oxcart};
///
/// let nodes = ClusterNodes::new(["10.0.0.1:6379", "10.0.0.2:6379"]).user("app", "secret");
/// let oxcart = Oxcart::builder().connect_cluster(nodes).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct ClusterNodes {
    hosts: Vec<String>,
    login: Login,
    is_tls: bool,
}

impl ClusterNodes {
    /// Some nodes of the cluster, as `host:port`; without a port it is 6379. They say where all others are. Name as many as may be away
    /// at a time and one more.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            hosts: nodes.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// User and password at every node. Default: none.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login.user = Some(user.into());
        self.password(password)
    }

    /// The password at every node, without a user (`requirepass`). Default: none.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(password.into());
        self
    }

    /// Connects with TLS. Default: without.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// How connections are made, and where the nodes are.
    pub(crate) fn access(&self, sign_in: SignIn<'_>) -> Result<(Access, Vec<Address>), Error> {
        let access = Access::new(&self.login, 0, self.is_tls, sign_in)?;
        let addresses = addresses_in(&self.hosts, REDIS_PORT, CLUSTER_FORM)?;
        Ok((access, addresses))
    }
}

/// Without passwords.
impl fmt::Debug for ClusterNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterNodes")
            .field("nodes", &self.hosts.len())
            .field("is_tls", &self.is_tls)
            .finish_non_exhaustive()
    }
}

/// The nodes that a URL names, if it is one of a cluster.
pub(crate) fn cluster_in(url: &str) -> Result<Option<ClusterNodes>, Error> {
    let Some(url) = Several::of(url, "cluster", CLUSTER_FORM)? else {
        return Ok(None);
    };
    if !matches!(&*url.path, "" | "0") {
        let what = "a cluster has one database, 0, and nothing else follows the hosts";
        return Err(wrong(what, CLUSTER_FORM));
    }
    if !url.query.is_empty() {
        return Err(wrong("nothing may follow a `?`", CLUSTER_FORM));
    }
    addresses_in(&url.hosts, REDIS_PORT, CLUSTER_FORM)?;
    Ok(Some(ClusterNodes {
        hosts: url.hosts,
        login: url.login,
        is_tls: url.is_tls,
    }))
}

/// How connections are made, whatever the address.
#[derive(Clone)]
pub(crate) struct Access {
    settings: RedisConnectionInfo,
    is_tls: bool,
    tls: Option<Tls>,
    pub(crate) provider: Option<Provider>,
}

impl Access {
    fn new(login: &Login, database: i64, is_tls: bool, sign_in: SignIn<'_>) -> Result<Self, Error> {
        sign_in.check(login.user.is_some() || login.password.is_some())?;
        let scheme = if is_tls { "rediss://" } else { "redis://" };
        tls::check(scheme, sign_in.tls)?;
        let mut settings = RedisConnectionInfo::default().set_db(database);
        if let Some(user) = &login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &login.password {
            settings = settings.set_password(password);
        }
        Ok(Self {
            settings,
            is_tls,
            tls: sign_in.tls.cloned(),
            provider: sign_in.provider.cloned(),
        })
    }

    /// The server at this address.
    pub(crate) fn node(&self, host: &str, port: u16) -> Result<Node, Error> {
        let host = host.to_owned();
        let addr = match self.is_tls {
            false => ConnectionAddr::Tcp(host, port),
            true => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        };
        let info = addr.into_connection_info().map_err(invalid)?;
        let info = info.set_redis_settings(self.settings.clone());
        let sign_in = SignIn {
            tls: self.tls.as_ref(),
            provider: self.provider.as_ref(),
        };
        Node::at(info, sign_in)
    }
}

/// The sentinels that a URL names, if it is one of sentinels.
pub(crate) fn sentinels_in(url: &str) -> Result<Option<Sentinels>, Error> {
    let Some(url) = Several::of(url, "sentinel", SENTINEL_FORM)? else {
        return Ok(None);
    };
    addresses_in(&url.hosts, SENTINEL_PORT, SENTINEL_FORM)?;
    let mut path = url.path.split('/');
    let name = decoded(path.next().unwrap_or_default(), SENTINEL_FORM)?;
    let database = match path.next().unwrap_or_default() {
        "" => 0,
        number => number.parse::<u32>().map_err(|_| {
            let what = "what follows the name of the master is no database number";
            wrong(what, SENTINEL_FORM)
        })?,
    };
    if path.next().is_some() {
        let what = "something follows the database number";
        return Err(wrong(what, SENTINEL_FORM));
    }
    let mut sentinels = Sentinels {
        name,
        hosts: url.hosts,
        login: url.login,
        sentinel_login: Login::default(),
        database: database.into(),
        is_tls: url.is_tls,
    };
    for parameter in url.query.split('&').filter(|text| !text.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = Some(decoded(value, SENTINEL_FORM)?).filter(|value| !value.is_empty());
        let login = &mut sentinels.sentinel_login;
        let place = match name {
            "sentinel_user" => &mut login.user,
            "sentinel_password" => &mut login.password,
            _ => {
                let what = "it has a parameter behind the `?` that is not known; known are: sentinel_user, \
                            sentinel_password";
                return Err(wrong(what, SENTINEL_FORM));
            }
        };
        if place.is_some() {
            return Err(wrong("a parameter stands there twice", SENTINEL_FORM));
        }
        *place = value;
    }
    if sentinels.name.is_empty() {
        return Err(wrong("the name of the master is missing", SENTINEL_FORM));
    }
    Ok(Some(sentinels))
}

/// A URL with several hosts, in its parts.
struct Several {
    login: Login,
    hosts: Vec<String>,
    path: String,
    query: String,
    is_tls: bool,
}

impl Several {
    /// `None` if the URL is of another kind.
    fn of(url: &str, kind: &str, form: &str) -> Result<Option<Self>, Error> {
        let Some((scheme, rest)) = url.trim().split_once("://") else {
            return Ok(None);
        };
        let scheme = scheme.to_ascii_lowercase();
        let is_tls = match scheme.strip_suffix(kind) {
            Some("redis+" | "valkey+") => false,
            Some("rediss+" | "valkeys+") => true,
            _ => return Ok(None),
        };
        if rest.contains('#') {
            let what = "nothing may follow a `#`; in a password write it as `%23`";
            return Err(wrong(what, form));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if rest.contains('@') {
            let what = "there is an `@` behind the first `/` or `?`: in a user name or a password write `/` as \
                        `%2F`, `?` as `%3F` and `@` as `%40`";
            return Err(wrong(what, form));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix('/').unwrap_or(path);
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (login, hosts),
            None => ("", authority),
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let filled = |text: &str| match text {
            "" => Ok(None),
            text => decoded(text, form).map(Some),
        };
        let login = Login {
            user: filled(user)?,
            password: filled(password.unwrap_or_default())?,
        };
        Ok(Some(Self {
            login,
            hosts: hosts.split(',').map(str::to_owned).collect(),
            path: path.to_owned(),
            query: query.to_owned(),
            is_tls,
        }))
    }
}

/// Hosts and ports; a host may be an IPv6 address in brackets.
fn addresses_in(hosts: &[String], port: u16, form: &str) -> Result<Vec<Address>, Error> {
    let address = |host: &String| {
        address::check_host(host)?;
        let (name, given) = match host.rsplit_once(':') {
            Some((name, given)) if !given.ends_with(']') => (name, given),
            _ => (host.as_str(), ""),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let given = given.parse().unwrap_or(port);
        Ok::<Address, Error>((name.to_owned(), given))
    };
    let mut addresses: Vec<Address> = Vec::with_capacity(hosts.len());
    for host in hosts {
        let address = address(host)?;
        // One that is named twice has one voice.
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(wrong("it names no host", form)),
        false => Ok(addresses),
    }
}

fn decoded(text: &str, form: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| wrong("a part of it is no UTF-8", form))?;
    Ok(decoded.into_owned())
}

fn wrong(what: &str, form: &str) -> Error {
    Error::invalid(format!("the Redis URL cannot be used: {what}; {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_sentinels_is_read() {
        let url = "redis+sentinel://app:p%40ss@one:1,[::1]:2,three/main/3?sentinel_password=a%2Fb";
        let read = sentinels_in(url).unwrap().unwrap();
        assert_eq!((&*read.name, read.database), ("main", 3));
        assert_eq!(read.login.user.as_deref(), Some("app"));
        assert_eq!(read.login.password.as_deref(), Some("p@ss"));
        assert_eq!(read.sentinel_login.password.as_deref(), Some("a/b"));
        let addresses = addresses_in(&read.hosts, SENTINEL_PORT, SENTINEL_FORM).unwrap();
        let expected = [("one", 1), ("::1", 2), ("three", SENTINEL_PORT)];
        assert_eq!(
            addresses,
            expected.map(|(host, port)| (host.to_owned(), port))
        );
        assert!(!format!("{read:?}").contains("p@ss"));
        assert!(sentinels_in("redis://main/").unwrap().is_none());
    }

    #[test]
    fn a_url_of_a_cluster_is_read() {
        let read = cluster_in("rediss+cluster://:a%2Fb@one,two:7/0")
            .unwrap()
            .unwrap();
        assert!(read.is_tls);
        assert_eq!(read.login.password.as_deref(), Some("a/b"));
        let addresses = addresses_in(&read.hosts, REDIS_PORT, CLUSTER_FORM).unwrap();
        assert_eq!(
            addresses,
            [("one".to_owned(), REDIS_PORT), ("two".to_owned(), 7)]
        );
        for (rest, says) in [
            ("", "no host"),
            ("one/secret", "one database"),
            ("one?secret", "`?`"),
        ] {
            let error = cluster_in(&format!("redis+cluster://{rest}")).unwrap_err();
            assert!(error.to_string().contains(says), "{rest}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_host_is_a_host_and_counts_once() {
        let addresses = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
            addresses_in(&hosts, REDIS_PORT, CLUSTER_FORM)
        };
        assert_eq!(addresses(&["one", "two:7", "one:6379"]).unwrap().len(), 2);
        for host in [
            "secret@one:1",
            "one/secret",
            "one?secret",
            "one two",
            "one,two",
        ] {
            let error = addresses(&[host]).unwrap_err();
            assert!(error.is_invalid(), "{host}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_url_of_sentinels_is_said_without_the_password() {
        for (rest, says) in [
            ("", "no host"),
            ("one:1", "name of the master"),
            ("one:1/", "name of the master"),
            ("one:1,/main", "no host"),
            ("one:secret/main", "no port"),
            ("one:1/main/secret", "no database number"),
            ("one:1/main/0/secret", "follows the database"),
            ("one:1/main?secret=1", "not known"),
            ("one:1/main?sentinel_user=a&sentinel_user=secret", "twice"),
            ("one:1, two:1/main", "space"),
            (":se/cret@one:1/main", "%2F"),
            (":se#cret@one:1/main", "%23"),
        ] {
            let error = sentinels_in(&format!("redis+sentinel://{rest}")).unwrap_err();
            assert!(error.is_invalid(), "{rest}: {error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(says), "{rest}: {text}");
            assert!(!text.contains("cret"), "{rest}: {text}");
        }
    }
}
