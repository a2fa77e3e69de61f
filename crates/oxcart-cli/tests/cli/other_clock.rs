//! A server whose clock is wrong, as far as a client can see: a proxy changes what `TIME` answers.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::spawn;

/// What `TIME` answers begins so: two texts, of which the first has ten digits.
const TIME: &[u8] = b"*2\r\n$10\r\n";

/// Its address. Its clock is so many seconds ahead of the server's.
pub(crate) fn proxy(server: SocketAddr, ahead: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                return;
            };
            let [client_too, server_too] = [&client, &server].map(|it| it.try_clone().unwrap());
            spawn(move || carry(client, server, |_| ()));
            spawn(move || carry(server_too, client_too, move |bytes| shift(bytes, ahead)));
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8])) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn shift(bytes: &mut [u8], ahead: u64) {
    if let Some(digits) = bytes.strip_prefix(TIME).and_then(|rest| rest.get(..10)) {
        let seconds: u64 = std::str::from_utf8(digits).unwrap().parse().unwrap();
        let shifted = (seconds + ahead).to_string();
        bytes[TIME.len()..TIME.len() + 10].copy_from_slice(shifted.as_bytes());
    }
}
