//! The rows of `tests/conformance.md`.
//!
//! Takes the page's text and gives its rows: what each is about, and the tests that prove it. A
//! rule that stands twice, as merges leave it, is one row with the tests of both. Never asks
//! whether those tests exist or pass.

/// A rule of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The part of the page it stands in: `Maps`.
    pub area: String,
    /// What the rule says.
    pub feature: String,
    /// The tests that prove it, as they are written there; none yet if it is empty.
    pub tests: Vec<String>,
    /// The line it stands on.
    pub line: usize,
}

impl Row {
    /// The live cases among its tests: those without a prefix that names another kind.
    #[allow(
        dead_code,
        reason = "not every test that reads the page runs live cases"
    )]
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        let elsewhere = |t: &&str| {
            !["errors/", "stages/", "cargo:"]
                .iter()
                .any(|p| t.starts_with(p))
        };
        self.tests.iter().map(String::as_str).filter(elsewhere)
    }
}

/// Reads the page: every row of a table under a `##` heading.
///
/// Errors: a line that is neither a row of three cells nor prose, as text with its line.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> = Vec::new();
    let mut area: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("## ") {
            area = Some(title);
        }
        let (Some(area), true) = (area, line.starts_with('|')) else {
            // Conflict markers of a merge would otherwise pass for prose.
            if ["<<<<<<<", "=======", ">>>>>>>"]
                .iter()
                .any(|m| line.starts_with(m))
            {
                return Err(format!("line {}: an unfinished merge", index + 1));
            }
            continue;
        };
        let cells = cells(line);
        if cells == ["Feature", "Tier", "Tests"] || cells.iter().all(|cell| cell == "---") {
            continue;
        }
        let [feature, _tier, tests] = cells.as_slice() else {
            return Err(format!("line {}: {} cells, not 3", index + 1, cells.len()));
        };
        let tests = tests.split(',').map(|name| name.trim().to_owned());
        let tests = tests.filter(|name| !name.is_empty());
        let is_it = |row: &&mut Row| row.area == area && row.feature == *feature;
        if let Some(row) = rows.iter_mut().rev().find(is_it) {
            row.tests.extend(tests);
            row.tests.sort();
            row.tests.dedup();
            continue;
        }
        rows.push(Row {
            area: area.to_owned(),
            feature: feature.clone(),
            tests: tests.collect(),
            line: index + 1,
        });
    }
    Ok(rows)
}

/// The cells of a table's line. `\|` does not end one.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.trim().trim_start_matches('|').chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'|') => {
                characters.next();
                push(&mut cells, '|');
            }
            '|' => cells.push(String::new()),
            other => push(&mut cells, other),
        }
    }
    // What follows the closing bar.
    cells.pop();
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

fn push(cells: &mut [String], character: char) {
    if let Some(last) = cells.last_mut() {
        last.push(character);
    }
}
