//! The way of a lent machine to its gateway as it is outside of tests: HTTPS, ended by an entrance before the gateway,
//! and believed only if somebody vouches for it whom the machine trusts.

use std::{
    fs,
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{
    bench::{Bench, OPEN, verdict},
    script::wait,
};

/// Whom a machine trusts, where the variable of this name says so.
const TRUSTED: &str = "SSL_CERT_FILE";
/// How long one end of a connection is listened to before the other one is.
const TURN: Duration = Duration::from_millis(5);

/// Somebody who vouches for this very machine: the file of its own certificate, and the entrance's with its key.
struct Authority {
    own: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
        let openssl = |arguments: &str| {
            let mut openssl = Command::new("openssl");
            openssl.args(arguments.split(' ')).current_dir(dir);
            let output = openssl.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!(
            "req -x509 {new} -keyout own.key -out own.pem -days 2 -subj /CN=authority"
        ));
        openssl(&format!(
            "req {new} -keyout key.pem -out wish.pem -subj /CN=entrance"
        ));
        openssl(
            "x509 -req -in wish.pem -CA own.pem -CAkey own.key -CAcreateserial -days 2 -extfile names -out cert.pem",
        );
        Self {
            own: dir.join("own.pem"),
            certificate: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let certificates = CertificateDer::pem_file_iter(&self.certificate).unwrap();
        let certificates = certificates.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key);
        Arc::new(config.unwrap())
    }
}

/// Speaks TLS with whoever comes, and hands on what they say; its address.
fn entrance_to(gateway: SocketAddr, authority: &Authority) -> String {
    let (listener, config) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        authority.config(),
    );
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, config) = (near.unwrap(), config.clone());
            // Whoever does not like the certificate goes away.
            std::thread::spawn(move || drop(hand_on(near, gateway, config)));
        }
    });
    format!("https://{address}")
}

fn hand_on(near: TcpStream, gateway: SocketAddr, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut far = TcpStream::connect(gateway)?;
    near.set_read_timeout(Some(TURN))?;
    far.set_read_timeout(Some(TURN))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut near = StreamOwned::new(connection, near);
    while carry(&mut near, &mut far)? && carry(&mut far, &mut near)? {}
    Ok(())
}

/// Carries what is there; whether more may come.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<bool> {
    let mut buffer = [0; 16_384];
    match from.read(&mut buffer) {
        Ok(0) => Ok(false),
        Ok(count) => {
            to.write_all(&buffer[..count])?;
            to.flush()?;
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// A worker whose gateway is behind an entrance, and who vouches for that. It does not run yet.
fn behind_an_entrance() -> (Bench, Authority) {
    let bench = Bench::new(OPEN);
    let authority = Authority::new(&bench.root.join("authority"));
    let entrance = entrance_to(bench.gateway.address(), &authority);
    let text = fs::read_to_string(bench.config()).unwrap();
    let moved = text.replace(&bench.gateway.url(), &entrance);
    assert_ne!(text, moved);
    fs::write(bench.config(), moved).unwrap();
    (bench, authority)
}

#[test]
fn a_worker_says_all_that_it_says_over_tls() {
    let (mut bench, authority) = behind_an_entrance();
    bench.variables = vec![(TRUSTED, authority.own.into_os_string())];
    let doctor = bench.owner(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(0), "{said}");
    assert!(said.contains("● the gateway answers"), "{said}");
    bench.start();
    let assignment = bench.assignment("seq 20000");
    let completion = bench.completion(&bench.offer(&assignment));
    assert_eq!(verdict(&completion), "Passed");
    let lines: String = (1..=20_000).map(|line| format!("{line}\n")).collect();
    assert!(bench.log_of(&assignment.run.uid).contains(&lines));
}

#[test]
fn a_gateway_that_nobody_vouches_for_is_told_nothing_and_doctor_says_why() {
    let (mut bench, _) = behind_an_entrance();
    let other = Authority::new(&bench.root.join("other"));
    bench.variables = vec![(TRUSTED, other.own.into_os_string())];
    let doctor = bench.owner(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(
        said.contains("  try: the connection is not secure: look for a proxy between"),
        "{said}"
    );
    bench.start();
    wait(|| {
        let status = String::from_utf8(bench.owner(&["status"]).stdout).unwrap();
        status
            .contains("▲ not connected: the gateway cannot be reached: ")
            .then_some(())
    });
    let has = bench.gateway.has();
    assert!(has.sessions.is_empty() && has.polls.is_empty());
}
