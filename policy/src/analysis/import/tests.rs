//! Dumps as databases write them, and what is no dump.

use super::*;

fn imported(text: &str) -> Result<String, String> {
    let dump = Source { name: "dump", text };
    import(dump).map_err(|problems| problems[0].to_string())
}

#[test]
fn every_common_form_of_a_dump_is_read() {
    let expected = "p, alice, tax, /a, GET, allow\ng, bob, clerk, tax\n";
    for dump in [
        "id,ptype,v0,v1,v2,v3,v4,v5\n1,p,alice,tax,/a,GET,allow,\n2,g,bob,clerk,tax,,,\n",
        "ptype,v0,v1,v2,v3,v4\np,alice,tax,/a,GET,allow\ng,bob,clerk,tax,,\n",
        "1,p,alice,tax,/a,GET,allow\n2,g,bob,clerk,tax,,\n",
        "p, alice, tax, /a, GET, allow\ng, bob, clerk, tax\n",
        "-- dump\nBEGIN;\nINSERT INTO casbin_rule VALUES (1,'p','alice','tax','/a','GET','allow',NULL),(2,'g','bob','clerk','tax','','','');\nCOMMIT;\n",
        "INSERT INTO `casbin_rule` (`id`, `ptype`, `v0`, `v1`, `v2`, `v3`, `v4`) VALUES\n(1, 'p', 'alice', 'tax', '/a', 'GET', 'allow'),\n(2, 'g', 'bob', 'clerk', 'tax', NULL, NULL);\n",
        "insert into public.casbin_rule (v0, ptype, v1, v2, v3, v4) values ('alice', 'p', 'tax', '/a', 'GET', 'allow');\ninsert into public.casbin_rule (ptype, v0, v1, v2) values ('g', 'bob', 'clerk', 'tax');\n",
    ] {
        assert_eq!(imported(dump).as_deref(), Ok(expected), "{dump}");
    }
}

#[test]
fn texts_keep_their_quotes_and_commas() {
    let dump = "INSERT INTO casbin_rule VALUES (1,'p','it''s, \"x\"','a');\n";
    assert_eq!(imported(dump).as_deref(), Ok("p, \"it's, \"\"x\"\"\", a\n"));
}

#[test]
fn what_is_no_dump_is_refused_with_its_place() {
    for (dump, place) in [
        ("", "dump:1:1"),
        ("x,1,2\n", "dump:1:1"),
        ("p,a\nq,b\n", "dump:2:1"),
        (
            "SELECT 1;\nINSERT INTO casbin_rule VALUES (1,'p','a;\n",
            "dump:2:1",
        ),
        (
            "INSERT INTO casbin_rule (a, b) VALUES (1, 2);\n",
            "dump:1:1",
        ),
    ] {
        assert!(
            imported(dump).is_err_and(|error| error.starts_with(place)),
            "{dump}"
        );
    }
}

#[test]
fn dumps_of_each_database_are_read_with_all_that_stands_around_the_rows() {
    let expected = "p, alice, tax, /a, GET, allow\ng, bob, clerk, tax\n";
    let mysql = "-- MySQL dump 10.13  Distrib 8.0.36\n/*!40101 SET NAMES utf8mb4 */;\nDROP TABLE IF EXISTS `casbin_rule`;\n\
        CREATE TABLE `casbin_rule` (\n  `id` bigint NOT NULL,\n  `ptype` varchar(100) DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB COMMENT='rules; all of them';\n\
        LOCK TABLES `casbin_rule` WRITE;\n/*!40000 ALTER TABLE `casbin_rule` DISABLE KEYS */;\n\
        INSERT INTO `casbin_rule` VALUES (1,'p','alice','tax','/a','GET','allow',NULL),(2,'g','bob','clerk','tax',NULL,NULL,NULL);\n\
        UNLOCK TABLES;\n-- Dump completed\n";
    let copy = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\nSET standard_conforming_strings = on;\n\
        SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.casbin_rule (\n    id bigint NOT NULL\n);\n\
        COPY public.casbin_rule (id, ptype, v0, v1, v2, v3, v4, v5) FROM stdin;\n1\tp\talice\ttax\t/a\tGET\tallow\t\\N\n2\tg\tbob\tclerk\ttax\t\\N\t\t\n\\.\n\n\
        SELECT pg_catalog.setval('public.casbin_rule_id_seq', 2, true);\nALTER TABLE ONLY public.casbin_rule ADD CONSTRAINT x PRIMARY KEY (id);\n\\unrestrict abc\n";
    let inserts = "-- PostgreSQL database dump\nINSERT INTO public.casbin_rule (id, ptype, v0, v1, v2, v3, v4, v5) VALUES (1, 'p', 'alice', 'tax', '/a', 'GET', 'allow', NULL) ON CONFLICT DO NOTHING;\n\
        INSERT INTO public.casbin_rule (id, ptype, v0, v1, v2, v3, v4, v5) VALUES (2, 'g', 'bob', 'clerk', 'tax', NULL, NULL, NULL);\n";
    let sqlite = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE \"casbin_rule\" (id INTEGER PRIMARY KEY AUTOINCREMENT, ptype TEXT DEFAULT '' NOT NULL, v0 TEXT);\n\
        INSERT INTO casbin_rule VALUES(1,'p','alice','tax','/a','GET','allow','');\nINSERT INTO casbin_rule VALUES(2,'g','bob','clerk','tax','','','');\n\
        DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('casbin_rule',2);\nCOMMIT;\n";
    let csv = "\"id\",\"ptype\",\"v0\",\"v1\",\"v2\",\"v3\",\"v4\",\"v5\"\r\n\"1\",\"p\",\"alice\",\"tax\",\"/a\",\"GET\",\"allow\",\\N\r\n\"2\",\"g\",\"bob\",\"clerk\",\"tax\",\\N,\\N,\\N\r\n";
    for dump in [mysql, copy, inserts, sqlite, csv] {
        assert_eq!(imported(dump).as_deref(), Ok(expected), "{dump}");
    }
}

/// How each database writes a text.
type Written = fn(&str) -> String;

#[test]
fn whatever_a_value_holds_it_comes_back_from_each_database() {
    let mysql: Written = |text| {
        let escaped = text
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('"', "\\\"");
        format!("'{escaped}'")
    };
    let plain: Written = |text| format!("'{}'", text.replace('\'', "''"));
    let values = [
        "it's",
        "a \"b\", c",
        "back\\slash",
        "\\",
        "\\'",
        "\u{6237}#;",
        "-- no comment",
        "/* nor this */",
        "tab\there",
        "`x`",
        "(1, 'p')",
    ];
    let mut expected = String::new();
    let (mut my, mut lite, mut pg) = (
        "-- MySQL dump\n".to_owned(),
        "PRAGMA foreign_keys=OFF;\n".to_owned(),
        "-- PostgreSQL database dump\nCOPY casbin_rule (ptype, v0) FROM stdin;\n".to_owned(),
    );
    for value in values {
        expected += &format!("p, {}\n", quoted(value));
        my += &format!(
            "INSERT INTO `casbin_rule` (`ptype`, `v0`) VALUES ('p',{});\n",
            mysql(value)
        );
        lite += &format!(
            "INSERT INTO casbin_rule VALUES(1,'p',{},NULL);\n",
            plain(value)
        );
        let copied = value.replace('\\', "\\\\").replace('\t', "\\t");
        pg += &format!("p\t{copied}\n");
    }
    pg += "\\.\n";
    for dump in [my, lite, pg] {
        assert_eq!(imported(&dump).as_deref(), Ok(expected.as_str()), "{dump}");
    }
}

#[test]
fn no_statement_is_swallowed() {
    let row = "INSERT INTO casbin_rule VALUES (1,'p','a');\n";
    for (statement, what) in [
        (
            "DELETE FROM casbin_rule WHERE v0 = 'a';",
            "this statement is not understood",
        ),
        (
            "UPDATE casbin_rule SET v0 = 'b';",
            "this statement is not understood",
        ),
        ("INSERT INTO users VALUES (1,'p','a');", "another table"),
        (
            "COPY users (id, ptype) FROM stdin;\n1\tp\n\\.",
            "another table",
        ),
        (
            "INSERT INTO casbin_rule SELECT * FROM old;",
            "has no VALUES",
        ),
        (
            "INSERT INTO casbin_rule VALUES (1,unistr('p'),'a');",
            "values of this INSERT",
        ),
        (
            "INSERT INTO casbin_rule VALUES (1,'p','a') ON CONFLICT (id) DO UPDATE SET v0 = 'b';",
            "may change a row",
        ),
        (
            "INSERT INTO casbin_rule VALUES (1,'p','a\\b');",
            "a backslash",
        ),
        ("INSERT INTO casbin_rule VALUES (1,'p','a", "never closed"),
        (
            "/*!50000 INSERT INTO casbin_rule VALUES (2,'p','b') */;",
            "holds rows",
        ),
        (
            "COPY casbin_rule (ptype, v0) FROM '/tmp/x';",
            "only `FROM stdin`",
        ),
        (
            "COPY casbin_rule (ptype, v0) FROM stdin;\np\ta",
            "never ended",
        ),
        ("\\! rm x", "this command"),
        (
            "INSERT INTO casbin_rule VALUES (1,'p','two\nlines');",
            "a line break",
        ),
        (
            "INSERT INTO casbin_rule VALUES (1,'x','a');",
            "no type of a row",
        ),
    ] {
        let error = imported(&format!("{row}{row}{statement}\n")).unwrap_err();
        assert!(
            error.starts_with("dump:3:1: ") && error.contains(what),
            "{statement}: {error}"
        );
    }
}
