//! What names of tables and columns speak of. Words of the field, in English, as frameworks and people use them.

/// Columns that say when a row was last changed, the surest first.
pub(super) const MODIFIED: [&str; 7] =
    ["modified_at", "last_updated", "last_modified", "updated", "modified", "updated_on", "date_modified"];

/// Tables that hold people.
const PEOPLE: [&str; 7] = ["user", "users", "account", "accounts", "person", "people", "auth_user"];

/// Columns that name a person, when their name ends so.
const ROLES: [&str; 14] = [
    "by",
    "user",
    "author",
    "owner",
    "creator",
    "editor",
    "scout",
    "assignee",
    "sender",
    "recipient",
    "reviewer",
    "person",
    "account",
    "approver",
];

/// What the table seems to be, if it concerns one server alone.
pub(super) fn local(table: &str) -> Option<&'static str> {
    let name = table.to_ascii_lowercase();
    let words: Vec<&str> = name.split('_').collect();
    let has = |word: &str| words.contains(&word);
    let ends = |ending: &str| name == ending || name.ends_with(&format!("_{ending}"));
    match () {
        () if name == "alembic_version" || has("migration") || has("migrations") => Some("the state of migrations"),
        () if name.contains("sync") => Some("the state of another sync"),
        () if name == "database_changes" || ends("change_log") || ends("changelog") => Some("a log of changes"),
        () if name.contains("checksum") => Some("a list of files"),
        () if name.contains("login_attempt") => Some("a log of logins"),
        () if ends("log") || ends("logs") => Some("a log"),
        () if ends("session") || ends("sessions") => Some("a list of sessions"),
        () if ends("cache") || ends("caches") => Some("a cache"),
        () if ends("queue") || ends("jobs") => Some("a list of jobs"),
        () => None,
    }
}

/// Does the column seem to hold a secret?
pub(super) fn delicate(column: &str, declared_type: &str) -> bool {
    let name = column.to_ascii_lowercase();
    let flag = declared_type.to_ascii_uppercase().contains("BOOL")
        || ["must_", "is_", "has_"].iter().any(|p| name.starts_with(p));
    let secret = ["password", "passwd", "hash", "token", "secret", "api_key", "apikey", "private_key"];
    !flag && (secret.iter().any(|s| name.contains(s)) || ["salt", "otp", "pwd"].contains(&name.as_str()))
}

/// How well a column's name fits a table to refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It names a person, and the table holds people.
    Person,
    /// The last words of both are the same: `server_id` and `sync_servers`.
    Ending,
    /// The column's last words are the table's name: `locked_by_user_id` and `users`.
    Name,
}

/// How the name of a column fits the name of a table, if it does.
pub(super) fn fit(column: &str, table: &str) -> Option<Fit> {
    let (column, table) = (column.to_ascii_lowercase(), table.to_ascii_lowercase());
    let stem = column.strip_suffix("_id");
    let names = singular(&table);
    let last = |word: &str, of: &str| of == word || of.ends_with(&format!("_{word}"));
    if let Some(stem) = stem {
        if names.iter().any(|name| last(name, stem)) {
            return Some(Fit::Name);
        }
        if names.iter().any(|name| last(stem, name)) {
            return Some(Fit::Ending);
        }
    }
    let role = ROLES.iter().any(|role| last(role, stem.unwrap_or(&column)) && (stem.is_some() || *role == "by"));
    (role && PEOPLE.contains(&table.as_str())).then_some(Fit::Person)
}

/// The name itself, and what it may be the plural of.
fn singular(table: &str) -> Vec<&str> {
    let mut out = vec![table];
    out.extend(table.strip_suffix('s'));
    out.extend(table.strip_suffix("es"));
    out
}

/// How well the name of a column suits for telling rows apart; the lowest is best. None: not at all.
pub(super) fn telling(column: &str, table: &str) -> Option<u8> {
    let (column, table) = (column.to_ascii_lowercase(), table.to_ascii_lowercase());
    let own = |word: &str| singular(&table).iter().any(|t| column == format!("{t}_{word}"));
    let is = |words: &[&str]| words.contains(&column.as_str());
    match () {
        () if is(&["uuid", "guid"]) => Some(0),
        () if is(&["number", "code", "key", "slug", "username", "email", "sku", "isbn"]) => Some(1),
        () if ["number", "code", "key", "no"].iter().any(|w| own(w)) => Some(1),
        () if is(&["name", "title", "label"]) || own("name") => Some(2),
        () if ["_number", "_code", "_key"].iter().any(|w| column.ends_with(w)) => Some(3),
        () => None,
    }
}

/// Does the column say of what kind a row is, so that numbers begin anew for each?
pub(super) fn kind(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    ["type", "kind", "level"].iter().any(|word| column == *word || column.ends_with(&format!("_{word}")))
}
