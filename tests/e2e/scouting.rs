//! Rows of the scouting application, as SQL that finds parents by what they are and not by their ids.

use crate::server::{Server, all_agree};

/// An event that a scouting team (the tenant) imported.
pub fn event(code: &str, tenant: u32) -> String {
    format!(
        "INSERT INTO event (name, code, year, scouting_team_number) VALUES ('Event {code}', '{code}', 2025, {tenant});"
    )
}

/// A team that a scouting team imported.
pub fn team(number: u32, tenant: u32) -> String {
    format!(
        "INSERT INTO team (team_number, team_name, scouting_team_number)
         VALUES ({number}, 'Team {number} of {tenant}', {tenant});"
    )
}

/// A match of an event. It is named after its event, in `red_alliance`.
pub fn game(code: &str, number: u32, tenant: u32) -> String {
    format!(
        "INSERT INTO match (match_number, match_type, event_id, red_alliance, scouting_team_number)
         SELECT {number}, 'Qualification', id, '{code}-{number}-{tenant}', {tenant} FROM event
         WHERE code = '{code}' AND scouting_team_number = {tenant};"
    )
}

/// A scout's entry, which bears its parents' names after its own.
pub fn entry(tag: &str, code: &str, number: u32, team: u32, tenant: u32) -> String {
    format!(
        "INSERT INTO scouting_data (match_id, team_id, scouting_team_number, data_json)
         SELECT m.id, t.id, {tenant}, '{tag} < ' || m.red_alliance || ' < ' || t.team_name FROM match m, team t
         WHERE m.red_alliance = '{code}-{number}-{tenant}' AND t.team_name = 'Team {team} of {tenant}';"
    )
}

/// A remark about a team at an event.
pub fn remark(tag: &str, team: u32, code: &str, tenant: u32) -> String {
    format!(
        "INSERT INTO team_list_entry (team_id, event_id, reason, type, scouting_team_number)
         SELECT t.id, e.id, '{tag}', 'avoid', {tenant} FROM team t, event e
         WHERE t.team_name = 'Team {team} of {tenant}' AND e.code = '{code}' AND e.scouting_team_number = {tenant};"
    )
}

/// An account whose password hash says whose it is.
pub fn user(name: &str, hash: &str) -> String {
    format!(
        "INSERT INTO user (username, email, password_hash, is_active, must_change_password)
         VALUES ('{name}', '{name}@example.org', '{hash}', 1, 0);"
    )
}

/// The roles of a new installation, with the ids that its order gives.
pub fn roles(names: &[&str]) -> String {
    names.iter().map(|name| format!("INSERT INTO role (name) VALUES ('{name}');")).collect()
}

/// Gives a user a role.
pub fn grant(name: &str, role: &str) -> String {
    format!(
        "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM user u, role r
         WHERE u.username = '{name}' AND r.name = '{role}';"
    )
}

/// Who may what, by name.
pub const POWERS: &str = "SELECT u.username, r.name FROM user_roles x
    LEFT JOIN user u ON u.id = x.user_id LEFT JOIN role r ON r.id = x.role_id";

/// Entries with the names of the match and the team that they are attached to.
const ENTRIES: &str = "SELECT d.data_json, m.red_alliance, t.team_name FROM scouting_data d
    LEFT JOIN match m ON m.id = d.match_id LEFT JOIN team t ON t.id = d.team_id";

/// Matches with the event that they are attached to.
const GAMES: &str =
    "SELECT m.red_alliance, e.code, e.scouting_team_number FROM match m LEFT JOIN event e ON e.id = m.event_id";

/// Every server has so many entries, the same ones, each at the match and the team that it names.
pub fn placed(servers: &[&Server], count: usize) {
    let entries = all_agree(servers, "scouting", ENTRIES);
    assert_eq!(entries.len(), count, "{entries:?}");
    for line in entries {
        let parts: Vec<&str> = line.split(" | ").collect();
        let own: Vec<&str> = parts[0].split(" < ").collect();
        assert_eq!(own[1..], parts[1..], "an entry is misplaced: {line}");
    }
    for line in all_agree(servers, "scouting", GAMES) {
        let parts: Vec<&str> = line.split(" | ").collect();
        assert!(
            parts[0].starts_with(&format!("{}-", parts[1])) && parts[0].ends_with(&format!("-{}", parts[2])),
            "a match is misplaced: {line}"
        );
    }
}

/// What the application knows by its ids: the entries of one server as (id, text).
pub fn known_ids(server: &Server, texts_like: &str) -> Vec<String> {
    server.lines("scouting", &format!("SELECT id, data_json FROM scouting_data WHERE data_json LIKE '{texts_like}'"))
}
