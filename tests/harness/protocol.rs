use crate::support::resp;

#[test]
fn messages_are_counted_whole() {
    let whole: [&[u8]; 12] = [
        b"+OK\r\n",
        b":1\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"$4\r\na\r\nb\r\n",
        b"$0\r\n\r\n",
        b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
        b"*0\r\n",
        b"%1\r\n+key\r\n*1\r\n_\r\n",
        b">2\r\n+invalidate\r\n~1\r\n#t\r\n",
        b"|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n",
        b"PING\r\n",
    ];
    for message in whole {
        let shown = message.escape_ascii();
        let twice = message.repeat(2);
        assert_eq!(resp::message(&twice), Some(message.len()), "{shown}");
        for cut in 0..message.len() {
            assert_eq!(resp::message(&message[..cut]), None, "{shown} cut at {cut}");
        }
    }
    assert_eq!(
        resp::command(b"*2\r\n$7\r\nevalsha\r\n$1\r\nx\r\n"),
        b"EVALSHA"
    );
    assert_eq!(resp::command(b"ping\r\n"), b"PING");
}
