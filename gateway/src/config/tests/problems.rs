//! Files that are not good, each with the very lines that the operator reads.

use super::problems_with;

/// What is replaced in the least file, by what, and the problems that it then has.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn check_each(cases: &[Case]) {
    for (old, new, expected) in cases {
        let found = problems_with(old, new);
        let expected: Vec<String> = expected
            .iter()
            .map(|line| format!("hangu.toml:{line}"))
            .collect();
        assert_eq!(
            found.lines().collect::<Vec<_>>(),
            expected,
            "after `{old}` became `{new}`"
        );
    }
}

#[test]
fn unknown_missing_and_mistyped_keys_are_each_reported() {
    check_each(SHAPE);
}

#[test]
fn what_is_not_toml_is_reported_at_its_place() {
    check_each(SYNTAX);
}

#[test]
fn values_that_cannot_be_used_are_refused_with_a_remedy() {
    check_each(VALUES);
}

#[test]
fn what_contradicts_the_rest_of_the_file_is_refused() {
    check_each(AGREE);
}

/// What does not fit the table of keys.
#[rustfmt::skip]
const SHAPE: &[Case] = &[
    (r#"name = "edge""#, r#"nam = "edge""#, &[
        "2:1: `[[listeners]]` has no `name`; add `name = …`: a name in quotes",
        "3:1: `nam` is not a known key of `[[listeners]]`; did you mean `name`?",
    ]),
    ("[audit]", "[control]\nuids = [0]\n[audit]", &["29:9: `0` is out of bounds; write 1 to 4294967294"]),
    ("[audit]", "[control]\nuids = [\"root\"]\n[audit]", &["29:9: a text does not fit `uids`; write a list in brackets, each entry a whole number from 1 to 4294967294"]),
    ("[audit]", "[audits]", &[
        "1:1: the file has no `audit`; add a section `[audit]`",
        "28:2: `audits` is not a known key of the file; did you mean `audit`?",
    ]),
    (r#"name = "edge""#, "name = 7", &["3:8: a whole number does not fit `name`; write a name in quotes"]),
    (r#"name = "edge""#, r#"name = "edge"
headers_max = "many"
crls = ["a.pem", 3]
adress = true"#, &[
        "4:15: a text does not fit `headers_max`; write a whole number from 1 to 256, without quotes",
        "5:18: a whole number does not fit `crls`; write a list in brackets, each entry a file in quotes",
        "6:1: `adress` is not a known key of `[[listeners]]`; did you mean `address`?",
    ]),
    (r#"order = ["public"]"#, "", &["11:1: `[labels]` has no `order`; add `order = …`: a list in brackets, each entry a name in quotes"]),
    (r#"order = ["public"]"#, "order = []", &["12:9: `order` has 0 entries; write 1 to 64"]),
    (r#"[[applications.routes]]
prefix = "/""#, "", &["14:1: `[[applications]]` has no `routes`; add a section `[[applications.routes]]`"]),
    ("[policy]", r#"policy = 3
[x]"#, &[
        "1:1: the file has no `policy`; add a section `[policy]`",
        "24:1: `policy` is not a known key of `[[applications.upstreams]]`; remove it, or use one of `address`",
        "25:2: `x` is not a known key of the file; remove it, or use one of `server`, `listeners`, `zones`, `labels`, `matrix`, `identity`, `purpose`, `applications`, `policy`, `crl_fetch`, `crl_grace`, `limits`, `audit`, `access_log`, `admin`, `control`",
    ]),
    ("[[listeners]]", r#"listeners = [1]
[[zones]]"#, &["7:3: this is not TOML: cannot extend value of type array with a dotted key; correct it here or in the line above"]),
    ("[labels]", r#"[admin]
address = "127.0.0.1:9180"
expose = "yes"
[labels]"#, &["13:10: a text does not fit `expose`; write `true` or `false`, without quotes"]),
    ("[labels]", r#"[zones]
a = "10.0.0.0/8"
[labels]"#, &["12:5: a text does not fit `[zones]`; write a list in brackets, each entry an address prefix in quotes"]),
    ("[labels]", r#"[limits]
identity = { requests = 1 }
[labels]"#, &[
        r#"12:12: `[limits.identity]` has no `per`; add `per = …`: a duration in quotes, as in `"10s"`"#,
        "12:12: `[limits.identity]` has no `burst`; add `burst = …`: a whole number from 1 to 1000000, without quotes",
    ]),
    ("[labels]", r#""server.threads" = 4
[labels]"#, &["11:1: `server.threads` is not a known key of `[[listeners.certificates]]`; remove it, or use one of `hosts`, `chain`, `key`, `client_authentication`, `client_ca`, `client_intermediates`, `crls`, `crl_urls`, `crl_hosts`, `crl_grace`, `spiffe_trust_domains`"]),
    ("[labels]", r#"[server]
threads = 99999999999999999999
[labels]"#, &["12:11: a whole number does not fit `threads`; write a whole number from 1 to 64, without quotes"]),
    ("[labels]", r#"[server]
threads = 65
drain = 30
[labels]"#, &[
        "12:11: `65` is out of bounds; write 1 to 64",
        r#"13:9: a whole number does not fit `drain`; write a duration in quotes, as in `"10s"`"#,
    ]),
    ("[labels]", r#"["server.threads"]
[labels]"#, &["11:2: `server.threads` is not a known key of the file; remove it, or use one of `server`, `listeners`, `zones`, `labels`, `matrix`, `identity`, `purpose`, `applications`, `policy`, `crl_fetch`, `crl_grace`, `limits`, `audit`, `access_log`, `admin`, `control`"]),
    ("[labels]", r#"[limits]
identity = { requests = 0, per = "0s", burst = 1, rate = 5 }
[labels]"#, &[
        "12:25: `0` is out of bounds; write 1 to 1000000",
        "12:34: `0s` is out of bounds; write `1ms` to `24h`",
        "12:51: `rate` is not a known key of `[limits.identity]`; remove it, or use one of `requests`, `per`, `burst`, `shadow`",
    ]),
    ("[labels]", r#"[limits]
shared = "http://127.0.0.1"
[labels]"#, &[
        "12:10: `http://127.0.0.1` is not the URL of a Redis server; write `redis://host:port` or, with TLS, `rediss://host:port`",
    ]),
    ("[labels]", r#"[matrix]
edge = 3
[labels]"#, &["12:8: a whole number does not fit `[matrix]`; write a list in brackets, each entry a label in quotes"]),
];

/// Mistakes of syntax; nothing behind them is guessed at.
#[rustfmt::skip]
const SYNTAX: &[Case] = &[
    (r#"name = "edge""#, "name = edge", &["3:8: this is not TOML: string values must be quoted, expected literal string; correct it here or in the line above"]),
    (r#"name = "edge""#, r#"name = "edge"#, &[r#"3:13: this is not TOML: invalid basic string, expected `"`; correct it here or in the line above"#]),
    (r#"name = "edge""#, r#"name = "edge"
name = "edge""#, &["4:1: this is not TOML: duplicate key; correct it here or in the line above"]),
    ("[labels]", "[labels", &["11:8: this is not TOML: unclosed table, expected `]`; correct it here or in the line above"]),
    ("[labels]", r#"[policy]
[labels]"#, &["25:2: this is not TOML: duplicate key; correct it here or in the line above"]),
    (r#"name = "edge""#, r#"name = "edge"
address.x = 1"#, &["5:1: this is not TOML: duplicate key; correct it here or in the line above"]),
];

/// Single values.
#[rustfmt::skip]
const VALUES: &[Case] = &[
    (r#""edge""#, r#""Edge 1""#, &["3:8: `Edge 1` is not a name; use 1 to 64 of the characters a-z, 0-9 and -"]),
    (r#""edge""#, r#""\u001b[31m""#, &[r#"3:8: `\u{1b}[31m` is not a name; use 1 to 64 of the characters a-z, 0-9 and -"#]),
    ("127.0.0.1:8443", "127.0.0.1", &["4:11: `127.0.0.1` is not an address and port; write the port too, as in `127.0.0.1:8443`"]),
    ("127.0.0.1:8443", "localhost:8443", &["4:11: `localhost:8443` is not an address and port; write an IP address and a port, as in `127.0.0.1:8443` or `[::1]:8443`; names are not looked up"]),
    ("127.0.0.1:8443", "::1", &["4:11: `::1` is not an address and port; write the port too, as in `[::1]:8443`"]),
    (r#"name = "edge""#, r#"name = "edge"
idle_timeout = "60""#, &["4:16: `60` is not a duration; write a whole number and ms, s, m or h, as in `10s`"]),
    (r#"name = "edge""#, r#"name = "edge"
idle_timeout = "2h""#, &["4:16: `2h` is out of bounds; write `1s` to `1h`"]),
    (r#"name = "edge""#, r#"name = "edge"
header_bytes_max = "32kb""#, &["4:20: `32kb` is not a size; write a whole number and B, KiB, MiB or GiB, as in `64KiB`"]),
    (r#"name = "edge""#, r#"name = "edge"
header_bytes_max = "1GiB""#, &["4:20: `1GiB` is out of bounds; write `1KiB` to `512KiB`"]),
    (r#"name = "edge""#, r#"name = "edge"
headers_max = 0"#, &["4:15: `0` is out of bounds; write 1 to 256"]),
    (r#"name = "edge""#, r#"name = "edge"
tls_min = "1.1""#, &["4:11: `1.1` is not known here; write `1.3` or `1.2`"]),
    (r#"name = "edge""#, r#"name = "edge"
client_authentication = "off""#, &["4:25: `off` is not known here; write `required` or `optional`"]),
    ("certs/server.pem", "missing.pem", &["8:9: there is no file `/etc/hangu/missing.pem`; create it or correct the path; relative paths start at the folder of this file"]),
    ("certs/server.pem", "certs", &["8:9: `/etc/hangu/certs` is a folder; name a file"]),
    ("certs/server.pem", "locked.pem", &["8:9: `/etc/hangu/locked.pem` cannot be looked at: permission denied; give the user that runs the gateway the right to enter each folder of the path"]),
    ("certs/server.pem", "", &["8:9: `` is not a path; name a file or folder"]),
    ("certs/server.key", "-----BEGIN PRIVATE KEY-----", &["9:7: a PEM text stands here instead of a path; put it into a file that only the gateway can read, and name that file"]),
    ("certs/server.pem", r#"a\u0000b"#, &[r#"8:9: `a\u{0}b` is not a path; name a file or folder"#]),
    ("[labels]", r#"[access_log]
to = "missing/missing.log"
[labels]"#, &["12:6: there is no folder `/etc/hangu/missing`; create it or correct the path"]),
    ("[labels]", r#"[server]
run_dir = "a.pid"
[labels]"#, &["12:11: `/etc/hangu/a.pid` is a file; name a folder"]),
    (r#"folder = "audit""#, r#"folder = "audit.d""#, &["29:10: `/etc/hangu/audit.d` is a file; name a folder"]),
    (r#"folder = "audit""#, r#"folder = "missing/missing""#, &["29:10: there is no folder `/etc/hangu/missing`; create it or correct the path"]),
    ("[labels]", r#"[access_log]
to = "logs"
[labels]"#, &["12:6: `/etc/hangu/logs` is a folder; name a file in it"]),
    (r#""civil-affairs""#, r#""civil affairs""#, &["16:10: `civil affairs` is not a tenant; use 1 to 128 bytes without spaces, commas, quotes and #"]),
    ("[policy]", r#"[applications.headers]
X-Id = "none"
Host = "{san.uri}"
X-Hangu-Subject = "{san.uri}"
Forwarded = "{san.uri}"
X_Id = "{san.uri}"
x-id = "{san.uri}"
"a b" = "{san.uri}"
[policy]"#, &[
        "25:8: `none` is not a template; the template names no field; write one such as `{subject.cn}`",
        "26:1: header `Host` belongs to the connection or to the message itself; choose another name, as in `X-Client-Identity`",
        "27:1: header `X-Hangu-Subject` is set by the gateway itself; choose another name, as in `X-Client-Identity`",
        "28:1: header `Forwarded` is set by the gateway itself; choose another name, as in `X-Client-Identity`",
        "29:1: header `X_Id` holds an underscore, which some applications read as `-`; write `X-Id`",
        "31:1: `a b` is not a header name; use letters, digits and -, as in `X-Client-Identity`",
    ]),
    ("[policy]", r#"[applications.headers]
X-Id = "{san.uri}"
x-id = "{san.uri}"
[policy]"#, &["26:1: header `x-id` is set above; keep it once; case makes no difference"]),
    ("[labels]", r#"[identity]
subject = "{subject.nonsense}"
[labels]"#, &["12:11: `{subject.nonsense}` is not a template; there is no field `subject.nonsense`; the fields are subject.cn, subject.o, subject.ou, subject.c, subject.l, subject.st, subject.title, subject.uid, subject.serial_number, subject.organization_identifier, credit_code, policy, eku, san.uri, san.dns, san.email, san.ip, san.upn, spiffe, spiffe.trust_domain, spiffe.path, issuer, serial, fingerprint, key_fingerprint, authority"]),
    ("[labels]", r#"[identity]
subject = "{san.uri"
[labels]"#, &["12:11: `{san.uri` is not a template; the `{` at byte 0 has no partner; write `{{` for a brace itself"]),
    ("[labels]", r#"[admin]
address = "0.0.0.0:9180"
[labels]"#, &["12:11: `0.0.0.0:9180` is not a loopback address, and the admin endpoint has no authentication; write `127.0.0.1:…`, or add `expose = true` if the network in front is closed"]),
    (":9001", ":0", &["22:11: `127.0.0.1:0` is not an address that can be connected to; write the address and port of one instance"]),
    ("127.0.0.1:9001", "0.0.0.0:9001", &["22:11: `0.0.0.0:9001` is not an address that can be connected to; write the address and port of one instance"]),
    (r#"prefix = "/""#, r#"prefix = "residents""#, &["20:10: `residents` is not a path prefix; begin it with `/`"]),
    (r#"prefix = "/""#, r#"prefix = "/residents/""#, &["20:10: `/residents/` is not a path prefix; leave the slash at the end away: `/residents`"]),
    (r#"prefix = "/""#, r#"prefix = "/a/../b""#, &["20:10: `/a/../b` is not a path prefix; remove segments that are empty or end in a dot or a space: the gateway refuses such paths"]),
    (r#"prefix = "/""#, r#"prefix = "/a?b""#, &["20:10: `/a?b` is not a path prefix; remove control characters, backslashes and %;?#: the gateway refuses them in a path"]),
    (r#"prefix = "/""#, r#"prefix = "/%2f""#, &["20:10: `/%2f` is not a path prefix; write an escape as `%` and two upper-case hex digits"]),
    (r#"prefix = "/""#, r#"prefix = "/%41""#, &["20:10: `/%41` is not a path prefix; write letters, digits and -._~!$&'()*+,=:@ without escape"]),
    (r#"prefix = "/""#, r#"prefix = "/a;b""#, &["20:10: `/a;b` is not a path prefix; remove control characters, backslashes and %;?#: the gateway refuses them in a path"]),
    (r#"prefix = "/""#, r#"prefix = "/%E5""#, &["20:10: `/%E5` is not a path prefix; write escapes that are UTF-8: the gateway refuses others"]),
    (r#"prefix = "/""#, r#"prefix = "/内"
[[applications.routes]]
prefix = "/%E5%86%85"
methods = ["GET"]"#, &["22:10: an earlier route takes GET of `/%E5%86%85`; remove one of the two, or give them different `methods`"]),
    (r#"prefix = "/""#, r#"prefix = "/a/:x"
[[applications.routes]]
prefix = "/a/:y"
methods = ["GET"]"#, &["22:10: an earlier route, `/a/:x`, takes GET of the same paths as `/a/:y`; remove one of the two, or give them different `methods`"]),
    (r#"prefix = "/""#, r#"prefix = "/a/:b-c""#, &["20:10: `:b-c` is not a route parameter; write `:` and a name of letters, digits and `_` that begins with no digit, of 64 bytes at most"]),
    (r#"prefix = "/""#, r#"prefix = "/"
methods = ["get", "TRACE"]"#, &[
        "21:12: method `get` is never let through; use GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "21:19: method `TRACE` is never let through; use GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    ]),
    (r#"prefix = "/""#, r#"prefix = "/"
methods = ["GET", "GET"]"#, &["21:19: method `GET` stands here for the second time; remove it"]),
    (r#"prefix = "/""#, r#"prefix = "/"
methods = []"#, &["21:11: `methods` has 0 entries; write 1 to 7"]),
];

/// Values that must agree with others.
#[rustfmt::skip]
const AGREE: &[Case] = &[
    ("rules = \"policy/policy.csv\"\n", "", &[
        "24:1: `[policy]` has no `rules`; add `model` and `rules`, or a signed `bundle`",
    ]),
    ("rules = \"policy/policy.csv\"\n", "bundle = \"policy.bundle\"\n", &[
        "25:9: `model` stands beside `bundle`, which holds its own; remove one of the two",
        "26:10: `bundle` stands without `keys`; add `keys = […]`: the public keys that `hangu policy sign --make-key` prints",
        "26:10: `bundle` stands without `state`; add `state = …`: a file that the gateway may write and that survives a reboot, such as `/var/lib/hangu/policy.state`",
    ]),
    ("model = \"policy/model.conf\"\nrules = \"policy/policy.csv\"\n", "bundle = \"policy.bundle\"\nstate = \"policy.state\"\nkeys = [\"li\"]\n", &[
        "27:9: `li` is no public key, or not the whole of one; write the line that `hangu policy sign --make-key` printed",
    ]),
    ("rules = \"policy/policy.csv\"\n", "rules = \"policy/policy.csv\"\nsignatures = 2\n", &[
        "27:14: `signatures` is about a bundle, and there is none; remove it, or name a `bundle`",
    ]),
    (r#"label = "public""#, r#"label = "secret""#, &["18:9: there is no label `secret`; add it to `order` in `[labels]`, or use `public`"]),
    (r#"["public"]"#, r#"["public", "public"]"#, &["12:20: label `public` stands here for the second time; keep its first place"]),
    (r#"name = "edge""#, r#"name = "edge"
zone = "moon""#, &["4:8: there is no zone `moon`; add it to `[zones]`"]),
    ("[labels]", r#"[zones]
a = ["10.0.0.1/8"]
[labels]"#, &["12:6: `10.0.0.1/8` has bits set behind its length; write `10.0.0.0/8`"]),
    ("[labels]", r#"[zones]
a = ["10.0.0.0/8"]
b = ["10.0.0.0/8"]
[labels]"#, &["13:6: `10.0.0.0/8` stands here for the second time; keep it in one zone only"]),
    ("[labels]", r#"[zones]
a = ["10.0.0.0/8"]
[matrix]
b = ["public"]
a = ["publik", "public", "public"]
[labels]"#, &[
        "14:1: there is no zone `b`; add it to `[zones]`, or use `a`",
        "15:6: there is no label `publik`; add it to `order` in `[labels]`, or use `public`",
        "15:26: label `public` stands here for the second time; remove it",
    ]),
    (r#"tenant = "civil-affairs"
hosts = ["records.civil.example"]"#, r#"tenant = "civil-affairs"
hosts = ["records.civil.example", "other.civil.example"]"#, &["17:35: no certificate of a listener is for host `other.civil.example`; add it to `hosts` of a `[[listeners.certificates]]`"]),
    ("[policy]", r#"[[applications]]
name = "records"
tenant = "t"
hosts = ["records.civil.example"]
label = "public"
routes = [{ prefix = "/" }]
upstreams = [{ address = "127.0.0.1:9001" }]
[policy]"#, &[
        "25:8: there is an application `records` above; give each application its own name",
        "27:10: host `records.civil.example` is claimed above; keep it in one application only, and once",
    ]),
    (r#"prefix = "/""#, r#"prefix = "/"
methods = ["GET", "PUT"]
[[applications.routes]]
prefix = "/"
methods = ["PUT"]"#, &["23:10: an earlier route takes PUT of `/`; remove one of the two, or give them different `methods`"]),
    (r#"127.0.0.1:9001""#, r#"127.0.0.1:9001"
[[applications.upstreams]]
address = "127.0.0.1:9001""#, &["24:11: upstream `127.0.0.1:9001` stands here for the second time; remove it"]),
    (r#"127.0.0.1:9001""#, r#"127.0.0.1:8443""#, &["22:11: upstream `127.0.0.1:8443` is a listener of this gateway; write the address of the application itself"]),
    ("[policy]", r#"[applications.upstream_tls]
ca = "ca.pem"
server_name = "App.internal"
key = "k.pem"
[policy]"#, &[
        "26:15: `App.internal` is not a host name; write it in lower case: `app.internal`",
        "27:7: `key` stands without `certificate`; add the `certificate` that belongs to it",
    ]),
    ("[labels]", r#"[[listeners.certificates]]
hosts = ["records.civil.example"]
chain = "a.pem"
key = "b.pem"
[labels]"#, &["12:10: `records.civil.example` stands here for the second time in this listener; keep it in one certificate only"]),
    ("[labels]", r#"[[listeners.certificates]]
hosts = ["guests.civil.example"]
chain = "a.pem"
key = "b.pem"
crls = ["c.pem"]
[labels]"#, &["15:8: revocation lists or intermediates stand here without the authorities that they are of; add `client_ca`, or move them to the listener"]),
    ("[labels]", r#"[identity]
spiffe_trust_domains = ["gov.example/x"]
attributes = { Grade = "{subject.title}", posture = "{subject.cn}" }
[labels]"#, &[
        "12:25: `gov.example/x` is not a trust domain; write it without scheme and path, as in `gov.example`",
        "13:16: `Grade` is not the name of an attribute; use 1 to 64 of a-z, 0-9 and _, a letter first",
        "13:43: `posture` is an attribute that the gateway gives itself; choose another name",
    ]),
    ("[labels]", r#"[admin]
address = "127.0.0.1:8443"
[labels]"#, &["12:11: `127.0.0.1:8443` is listened on above; give it another port"]),
    ("[labels]", r#"[[listeners]]
name = "edge"
address = "0.0.0.0:8443"
client_ca = "a.pem"
certificates = [{ hosts = ["*.civil.example"], chain = "a.pem", key = "b.pem" }]
[labels]"#, &[
        "12:8: there is a listener `edge` above; give each listener its own name",
        "13:11: `0.0.0.0:8443` overlaps `127.0.0.1:8443`, which is listened on above; give it another port",
    ]),
];
