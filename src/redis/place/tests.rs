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
