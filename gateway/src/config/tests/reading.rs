//! Files on a real disk.

use std::fs;
use std::path::Path;

use super::{LEAST, load, parse};

/// A folder that holds everything that the least file names.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, files) in [
        (
            "certs",
            ["clients-ca.pem", "server.pem", "server.key"].as_slice(),
        ),
        ("policy", &["model.conf", "policy.csv"]),
    ] {
        fs::create_dir(folder.path().join(name)).unwrap();
        for file in files {
            fs::write(folder.path().join(name).join(file), "").unwrap();
        }
    }
    folder
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let folder = folder();
    let path = folder.path().join("hangu.toml");
    fs::write(&path, LEAST).unwrap();
    let config = load(&path).unwrap();
    assert_eq!(config.file, path);
    assert_eq!(
        config.policy.source.rules(),
        folder.path().join("policy/policy.csv")
    );
    assert!(parse(&path, LEAST).is_ok());
}

#[test]
fn the_paths_of_a_bare_file_name_start_at_the_working_folder() {
    let problems = parse(Path::new("hangu.toml"), LEAST).unwrap_err();
    let here = std::env::current_dir().unwrap();
    let expected = format!(
        "there is no file `{}`",
        here.join("certs/clients-ca.pem").display()
    );
    assert_eq!(problems[0].what, expected);
    assert!(
        problems.iter().all(|problem| !problem.what.contains("``")),
        "{problems:?}"
    );
}

#[test]
fn a_file_that_is_not_there_is_reported_where_it_is_named() {
    let folder = folder();
    let path = folder.path().join("hangu.toml");
    fs::write(&path, LEAST).unwrap();
    fs::remove_file(folder.path().join("certs/server.key")).unwrap();
    let errors = load(&path).unwrap_err();
    let [problem] = errors.problems() else {
        panic!("one problem")
    };
    assert_eq!((problem.line, problem.column), (9, 7));
    let name = folder.path().join("certs/server.key");
    assert_eq!(
        problem.what,
        format!("there is no file `{}`", name.display())
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_reported_without_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml");
    let errors = load(&absent).unwrap_err().to_string();
    assert!(
        errors.starts_with(&format!("{}: the file cannot be read: ", absent.display())),
        "{errors}"
    );
    assert!(load(folder.path()).is_err(), "a folder is not a file");
}

#[test]
fn bytes_that_are_not_utf8_are_reported_at_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hangu.toml");
    fs::write(&path, b"# \xe5\x86\x85\n# \xff\n").unwrap();
    let errors = load(&path).unwrap_err();
    let expected = format!(
        "{}:2:3: this is not UTF-8; save the file as UTF-8",
        path.display()
    );
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn a_file_that_is_too_large_to_be_a_configuration_is_not_parsed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hangu.toml");
    let file = fs::File::create(&path).unwrap();
    file.set_len(super::super::bounds::FILE_BYTES_MAX + 1)
        .unwrap();
    let errors = load(&path).unwrap_err().to_string();
    assert!(
        errors.contains("the file is larger than 16MiB; name a configuration file"),
        "{errors}"
    );
}
