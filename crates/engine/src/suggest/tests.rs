//! A scouting team's two databases, and what is to be said of them.
use super::*;
use crate::catalog;
use crate::config::DatabaseConfig;

const USERS: &str = "
    CREATE TABLE role(id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(80) NOT NULL UNIQUE);
    CREATE TABLE user(id INTEGER NOT NULL PRIMARY KEY, username VARCHAR(80) NOT NULL UNIQUE, email VARCHAR(120) UNIQUE,
      password_hash VARCHAR(128), scouting_team_number INTEGER, must_change_password BOOLEAN, updated_at DATETIME);
    CREATE TABLE user_roles(user_id INTEGER NOT NULL, role_id INTEGER NOT NULL, PRIMARY KEY (user_id, role_id));
    INSERT INTO role VALUES (1, 'admin'), (2, 'scout');
    INSERT INTO user(id, username) VALUES (11, 'admin'), (12, 'superadmin'), (13, 'sam');
    INSERT INTO user_roles VALUES (11, 1), (13, 2);";

const SCOUTING: &str = "
    CREATE TABLE team(id INTEGER NOT NULL PRIMARY KEY, team_number INTEGER NOT NULL, team_name VARCHAR(100), scouting_team_number INTEGER);
    CREATE TABLE event(id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, code VARCHAR(20), year INTEGER NOT NULL, scouting_team_number INTEGER);
    CREATE TABLE match(id INTEGER NOT NULL PRIMARY KEY, match_number INTEGER NOT NULL, match_type VARCHAR(20) NOT NULL,
      event_id INTEGER NOT NULL REFERENCES event(id), red_score INTEGER, scouting_team_number INTEGER);
    CREATE TABLE scouting_data(id INTEGER NOT NULL PRIMARY KEY, match_id INTEGER NOT NULL REFERENCES match(id), scouting_team_number INTEGER,
      scout_name VARCHAR(50), scout_id INTEGER, scouting_station INTEGER, device_id VARCHAR(100), data_json TEXT NOT NULL);
    CREATE TABLE strategy_share(id INTEGER NOT NULL PRIMARY KEY, token VARCHAR(128) NOT NULL UNIQUE, created_by INTEGER, revoked BOOLEAN);
    CREATE TABLE settings(id INTEGER NOT NULL PRIMARY KEY, locked_by_user_id INTEGER, created_by_team INTEGER, last_updated DATETIME);
    CREATE TABLE sync_config(id INTEGER NOT NULL PRIMARY KEY, key VARCHAR(100) NOT NULL UNIQUE, updated_by INTEGER);
    CREATE TABLE database_changes(id INTEGER PRIMARY KEY, x); CREATE TABLE file_checksums(id INTEGER PRIMARY KEY, x);
    CREATE TABLE login_attempts(id INTEGER PRIMARY KEY, x); CREATE TABLE alembic_version(version_num VARCHAR(32) PRIMARY KEY NOT NULL);
    INSERT INTO team VALUES (1, 254, 'a', 5000), (2, 1678, 'b', 5000), (3, 254, 'a', 6000);
    INSERT INTO event VALUES (1, 'Regional', 'CASJ', 2024, 5000), (2, 'Regional', 'CASJ', 2024, 6000);
    INSERT INTO match VALUES (1, 1, 'qm', 1, 7, 5000), (2, 1, 'qf', 1, 7, 5000), (3, 1, 'qm', 2, 7, 6000);
    INSERT INTO scouting_data VALUES (1, 1, 5000, 'sam', 13, 1, '13', '{}'), (2, 1, 5000, 'sam', 13, 2, 'tablet', '{}'),
      (3, 1, 5000, 'x', 99, 3, 'tablet', '{}'), (4, 1, 5000, 'x', NULL, 3, 'tablet', '{}');
    INSERT INTO strategy_share VALUES (1, 't', 12, 0);";

fn open(schema: &str, config: &DatabaseConfig) -> (Connection, Catalog) {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(schema).unwrap();
    let catalog = catalog::read(&conn, "db", config).unwrap();
    (conn, catalog)
}

fn both(config: &DatabaseConfig) -> (Vec<Suggestion>, Vec<Suggestion>) {
    let (scouting, users) = (open(SCOUTING, config), open(USERS, &DatabaseConfig::default()));
    let scouting = Subject { name: "scouting", conn: &scouting.0, catalog: &scouting.1 };
    let users = Subject { name: "users", conn: &users.0, catalog: &users.1 };
    (suggest(scouting, &[users]).unwrap(), suggest(users, &[scouting]).unwrap())
}

#[test]
fn references_that_nothing_declares_are_found_by_name_and_data() {
    let (scouting, users) = both(&DatabaseConfig::default());
    let references = |all: &[Suggestion]| -> Vec<String> {
        let of = |s: &Suggestion| match s {
            Suggestion::Reference { table, column, database, target, matching, missing } => {
                Some(format!("{table}.{column} -> {database}.{target} {matching}:{missing}"))
            }
            _ => None,
        };
        all.iter().filter_map(of).collect()
    };
    assert_eq!(
        references(&scouting),
        [
            "scouting_data.scout_id -> users.user 2:1",
            "settings.locked_by_user_id -> users.user 0:0",
            "strategy_share.created_by -> users.user 1:0",
        ]
    );
    assert_eq!(references(&users), ["user_roles.user_id -> users.user 2:0", "user_roles.role_id -> users.role 2:0"]);
}

#[test]
fn natural_keys_are_found_with_what_bounds_them() {
    let (scouting, users) = both(&DatabaseConfig::default());
    let identities = |all: &[Suggestion], wanted: bool| -> Vec<String> {
        let of = |s: &Suggestion| match s {
            Suggestion::Identity { table, columns, declared, .. } if *declared == wanted => {
                Some(format!("{table}: {}", columns.join(" ")))
            }
            _ => None,
        };
        all.iter().filter_map(of).collect()
    };
    assert_eq!(
        identities(&scouting, false),
        [
            "event: code scouting_team_number",
            "match: match_number match_type event_id scouting_team_number",
            "team: team_number scouting_team_number",
        ]
    );
    assert_eq!(
        identities(&users, true),
        ["role: name", "user: username", "user: email", "user_roles: user_id role_id"]
    );
    assert!(identities(&users, false).is_empty());
    let none: Vec<_> = scouting.iter().filter(|s| matches!(s, Suggestion::NoIdentity { .. })).collect();
    assert_eq!(none.len(), 2, "{none:?}");
}

#[test]
fn tables_of_one_server_secrets_and_times_are_named() {
    let (scouting, users) = both(&DatabaseConfig::default());
    let local: Vec<_> = scouting
        .iter()
        .filter_map(|s| match s {
            Suggestion::Local { table, .. } => Some(table.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(local, ["alembic_version", "database_changes", "file_checksums", "login_attempts", "sync_config"]);
    assert!(scouting.contains(&Suggestion::Alembic));
    let delicate = |column: &str| Suggestion::Delicate { table: "user".into(), column: column.into() };
    assert!(users.contains(&delicate("password_hash")) && !users.contains(&delicate("must_change_password")));
    assert_eq!(
        users.iter().filter(|s| matches!(s, Suggestion::Modified { .. })).count(),
        0,
        "updated_at is plain enough"
    );
    assert!(scouting.contains(&Suggestion::Modified { table: "settings".into(), column: "last_updated".into() }));
    assert!(users.contains(&Suggestion::Surrogate { table: "role".into(), column: "id".into() }));
}

#[test]
fn what_has_been_said_is_not_asked_again() {
    let config: DatabaseConfig = toml::from_str(
        "exclude = ['sync_*', 'alembic_version']
         [tables.team]\nidentity = ['team_number', 'scouting_team_number']
         [tables.match]\nidentity = []
         [tables.scouting_data]\nreferences = { scout_id = 'users.user' }
         [tables.strategy_share]\ncolumns = { token = 'review' }",
    )
    .unwrap();
    let (scouting, _) = both(&config);
    for unwanted in ["sync_config", "match: no two", "scout_id", "`token` looks", "team: no two"] {
        assert!(!scouting.iter().any(|s| s.to_string().contains(unwanted)), "{unwanted}");
    }
    assert!(scouting.contains(&Suggestion::Alembic), "its tables are there all the same");
}

#[test]
fn each_says_in_words_what_to_write() {
    let reference = Suggestion::Reference {
        table: "scouting data".into(),
        column: "scout id".into(),
        database: "users".into(),
        target: "user".into(),
        matching: 412,
        missing: 3,
    };
    assert_eq!(
        reference.to_string(),
        "scouting data: `scout id` seems to refer to users.user (412 rows fit, 3 do not); if so, say references = { \"scout id\" = \"users.user\" }"
    );
    let identity = Suggestion::Identity {
        table: "team".into(),
        columns: vec!["team_number".into(), "scouting_team_number".into()],
        declared: false,
        rows: 40,
    };
    assert_eq!(
        identity.to_string(),
        "team: no two of 40 rows have the same `team_number`, `scouting_team_number`; if that tells which row is the same elsewhere, say identity = [\"team_number\", \"scouting_team_number\"]"
    );
    assert!(Suggestion::Alembic.to_string().contains("include_object"));
}
