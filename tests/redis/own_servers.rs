//! The servers themselves.

use std::{net::TcpStream, panic, path::PathBuf, thread};

use crate::support::Server;

#[tokio::main(flavor = "current_thread")]
async fn failing_test() {
    let server = Server::start().await;
    panic::resume_unwind(Box::new((server.port, server.socket())));
}

#[test]
fn a_server_and_its_folder_are_gone_when_its_test_panics() {
    let panic = thread::spawn(failing_test).join().unwrap_err();
    let (port, socket) = *panic.downcast::<(u16, PathBuf)>().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!socket.parent().unwrap().exists());
}
