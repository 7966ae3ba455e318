//! Reading CSV (RFC 4180): commas, quotes doubled inside quotes, lines ended by CR LF or LF.

use crate::directory_error::DirectoryProblem;

/// The line that a row begins on, and its fields.
pub(crate) type Row = (usize, Vec<String>);

/// Every row that is not an empty line. A byte order mark, which spreadsheets write, is passed over.
pub(crate) fn rows(bytes: &[u8], bytes_max: usize) -> Result<Vec<Row>, (usize, DirectoryProblem)> {
    if bytes.len() > bytes_max {
        return Err((1, DirectoryProblem::TooLarge));
    }
    let text = str::from_utf8(bytes).map_err(|why| {
        let good = bytes.get(..why.valid_up_to()).unwrap_or_default();
        (
            1 + good.iter().filter(|byte| **byte == b'\n').count(),
            DirectoryProblem::Encoding,
        )
    })?;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (fields, after) = row(rest).ok_or((line, DirectoryProblem::Quote))?;
        let taken = rest.len() - after.len();
        if fields.iter().any(|field| !field.is_empty()) || fields.len() > 1 {
            rows.push((line, fields));
        }
        line += rest
            .bytes()
            .take(taken)
            .filter(|byte| *byte == b'\n')
            .count();
        rest = after;
    }
    Ok(rows)
}

/// The fields of the first row, and what follows it.
fn row(text: &str) -> Option<(Vec<String>, &str)> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => plain_field(rest)?,
        };
        fields.push(field);
        if let Some(next) = after.strip_prefix(',') {
            rest = next;
            continue;
        }
        let after = after.strip_prefix('\r').unwrap_or(after);
        return match after.strip_prefix('\n') {
            Some(next) => Some((fields, next)),
            None => after.is_empty().then_some((fields, after)),
        };
    }
}

fn plain_field(text: &str) -> Option<(String, &str)> {
    let end = text.find([',', '\r', '\n', '"']).unwrap_or(text.len());
    let (field, after) = text.split_at_checked(end)?;
    if after.starts_with('"') {
        None
    } else {
        Some((field.to_owned(), after))
    }
}

/// After the opening quote.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Row>, (usize, DirectoryProblem)> {
        rows(text.as_bytes(), 1000)
    }

    #[test]
    fn quotes_hold_commas_quotes_and_lines() {
        let rows =
            read("\u{feff}a,b\r\n\"x,1\",\"say \"\"hi\"\"\"\r\n\r\n\"two\nlines\",\nlast,one")
                .unwrap();
        let fields: Vec<(usize, Vec<&str>)> = rows
            .iter()
            .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            fields,
            [
                (1, vec!["a", "b"]),
                (2, vec!["x,1", "say \"hi\""]),
                (4, vec!["two\nlines", ""]),
                (6, vec!["last", "one"]),
            ]
        );
    }

    #[test]
    fn quotes_in_the_wrong_place_are_refused_with_their_line() {
        for text in ["a\nb\"c", "a\n\"b\"c", "a\n\"open", "a\nb\rc"] {
            assert_eq!(read(text), Err((2, DirectoryProblem::Quote)), "{text:?}");
        }
        assert_eq!(rows(b"a\n\xff", 1000), Err((2, DirectoryProblem::Encoding)));
        assert_eq!(rows(b"aaaa", 3), Err((1, DirectoryProblem::TooLarge)));
    }
}
