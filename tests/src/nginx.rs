//! A real nginx as the application behind the gateway: it writes down how it read each request.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::port::free_port;
use crate::wait::{must, wait_until};

/// Runs until it is dropped.
#[derive(Debug)]
pub struct TestNginx {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl TestNginx {
    /// Starts one that logs these fields (in lower case) of each request beside request line, host, decoded path, query and body.
    /// `None` where no nginx is installed, which CI does not allow.
    #[must_use]
    pub fn start(fields: &[&str]) -> Option<Self> {
        let known = Command::new("nginx").arg("-v").output();
        if known.is_err() && std::env::var_os("CI").is_none() {
            eprintln!("left out: there is no nginx");
            return None;
        }
        let _version = must(known, "run nginx");
        let folder = must(
            tempfile::Builder::new().prefix("hangu-nginx-").tempdir(),
            "make a folder",
        );
        let (port, inner) = (free_port(), free_port());
        let config = config(&folder.path().display().to_string(), port, inner, fields);
        let file = folder.path().join("nginx.conf");
        must(fs::write(&file, config), "write nginx.conf");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let nginx = Self {
            port,
            folder,
            child: must(child, "start nginx"),
        };
        wait_until("nginx to listen", || {
            TcpStream::connect(nginx.address()).is_ok()
        });
        Some(nginx)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Each request as it read it.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let bytes = fs::read(self.folder.path().join("requests.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |line| must(serde_json::from_str(line), "read nginx's log");
        whole.lines().map(read).collect()
    }
}

impl Drop for TestNginx {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// It reads the body since it passes it on, to itself.
fn config(folder: &str, port: u16, inner: u16, fields: &[&str]) -> String {
    let logged: String = fields
        .iter()
        .map(|name| format!("\"{name}\":\"$http_{}\",", name.replace('-', "_")))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{ }}\n\
         http {{\n\
         log_format requests escape=json '{{\"status\":\"$status\",\"line\":\"$request\",\"host\":\"$http_host\",\"uri\":\"$uri\",\
         \"args\":\"$args\",{logged}\"body\":\"$request_body\"}}';\n\
         access_log off;\nignore_invalid_headers off;\nunderscores_in_headers on;\nmerge_slashes off;\n\
         client_body_buffer_size 1m;\nclient_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\n\
         fastcgi_temp_path {folder}/fastcgi;\nuwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n\
         server {{ listen 127.0.0.1:{port}; access_log {folder}/requests.log requests;\n\
         location / {{ proxy_pass http://127.0.0.1:{inner}; }} }}\n\
         server {{ listen 127.0.0.1:{inner}; location / {{ return 200 ok; }} }}\n}}\n"
    )
}
