-- scouting.db of the example: the tables as the application's model classes make them.
-- Ids are rowid aliases without AUTOINCREMENT, so they are reused. No defaults, triggers or views.

CREATE TABLE database_changes (
    id INTEGER NOT NULL,
    table_name VARCHAR(100) NOT NULL,
    record_id VARCHAR(100) NOT NULL,
    operation VARCHAR(20) NOT NULL,
    change_data TEXT,
    old_data TEXT,
    timestamp DATETIME NOT NULL,
    sync_status VARCHAR(20),
    created_by_server VARCHAR(100),
    PRIMARY KEY (id)
);

CREATE TABLE event (
    id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    code VARCHAR(20),
    location VARCHAR(100),
    start_date DATE,
    end_date DATE,
    year INTEGER NOT NULL,
    scouting_team_number INTEGER,
    PRIMARY KEY (id)
);

CREATE TABLE file_checksums (
    id INTEGER NOT NULL,
    file_path VARCHAR(500) NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    file_size BIGINT NOT NULL,
    last_modified DATETIME NOT NULL,
    last_checked DATETIME,
    sync_status VARCHAR(20),
    PRIMARY KEY (id)
);

CREATE TABLE login_attempts (
    id INTEGER NOT NULL,
    ip_address VARCHAR(45) NOT NULL,
    username VARCHAR(80),
    team_number INTEGER,
    attempt_time DATETIME NOT NULL,
    success BOOLEAN NOT NULL,
    user_agent VARCHAR(500),
    PRIMARY KEY (id)
);

CREATE TABLE "match" (
    id INTEGER NOT NULL,
    match_number INTEGER NOT NULL,
    match_type VARCHAR(20) NOT NULL,
    event_id INTEGER NOT NULL,
    red_alliance VARCHAR(50),
    blue_alliance VARCHAR(50),
    red_score INTEGER,
    blue_score INTEGER,
    winner VARCHAR(10),
    timestamp DATETIME,
    scouting_team_number INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(event_id) REFERENCES event (id)
);

CREATE TABLE scouting_alliance (
    id INTEGER NOT NULL,
    alliance_name VARCHAR(100) NOT NULL,
    description TEXT,
    created_at DATETIME,
    updated_at DATETIME,
    is_active BOOLEAN,
    game_config_team INTEGER,
    pit_config_team INTEGER,
    config_status VARCHAR(50),
    shared_game_config TEXT,
    shared_pit_config TEXT,
    PRIMARY KEY (id)
);

CREATE TABLE scouting_alliance_chat (
    id INTEGER NOT NULL,
    alliance_id INTEGER NOT NULL,
    from_team_number INTEGER NOT NULL,
    from_username VARCHAR(80) NOT NULL,
    message TEXT NOT NULL,
    message_type VARCHAR(50),
    created_at DATETIME,
    is_read BOOLEAN,
    PRIMARY KEY (id),
    FOREIGN KEY(alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE scouting_alliance_event (
    id INTEGER NOT NULL,
    alliance_id INTEGER NOT NULL,
    event_code VARCHAR(20) NOT NULL,
    event_name VARCHAR(100),
    is_active BOOLEAN,
    added_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE scouting_alliance_invitation (
    id INTEGER NOT NULL,
    alliance_id INTEGER NOT NULL,
    from_team_number INTEGER NOT NULL,
    to_team_number INTEGER NOT NULL,
    message TEXT,
    status VARCHAR(50),
    created_at DATETIME,
    responded_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE scouting_alliance_member (
    id INTEGER NOT NULL,
    alliance_id INTEGER NOT NULL,
    team_number INTEGER NOT NULL,
    team_name VARCHAR(100),
    role VARCHAR(50),
    status VARCHAR(50),
    joined_at DATETIME,
    invited_by INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE scouting_alliance_sync (
    id INTEGER NOT NULL,
    alliance_id INTEGER NOT NULL,
    from_team_number INTEGER NOT NULL,
    to_team_number INTEGER NOT NULL,
    data_type VARCHAR(50) NOT NULL,
    data_count INTEGER,
    last_sync DATETIME,
    sync_status VARCHAR(50),
    PRIMARY KEY (id),
    FOREIGN KEY(alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE scouting_team_settings (
    id INTEGER NOT NULL,
    scouting_team_number INTEGER NOT NULL,
    account_creation_locked BOOLEAN NOT NULL,
    locked_by_user_id INTEGER,
    locked_at DATETIME,
    created_at DATETIME,
    updated_at DATETIME,
    PRIMARY KEY (id),
    UNIQUE (scouting_team_number)
);

CREATE TABLE shared_graph (
    id INTEGER NOT NULL,
    share_id VARCHAR(36) NOT NULL,
    title VARCHAR(200) NOT NULL,
    description TEXT,
    team_numbers TEXT NOT NULL,
    event_id INTEGER,
    metric VARCHAR(100) NOT NULL,
    graph_types TEXT NOT NULL,
    data_view VARCHAR(50),
    created_by_team INTEGER NOT NULL,
    created_by_user VARCHAR(80) NOT NULL,
    created_at DATETIME,
    expires_at DATETIME,
    view_count INTEGER,
    is_active BOOLEAN,
    is_public BOOLEAN,
    allow_comments BOOLEAN,
    PRIMARY KEY (id),
    UNIQUE (share_id),
    FOREIGN KEY(event_id) REFERENCES event (id)
);

CREATE TABLE shared_team_ranks (
    id INTEGER NOT NULL,
    share_id VARCHAR(36) NOT NULL,
    title VARCHAR(200) NOT NULL,
    description TEXT,
    event_id INTEGER,
    metric VARCHAR(100) NOT NULL,
    created_by_team INTEGER NOT NULL,
    created_by_user VARCHAR(80) NOT NULL,
    created_at DATETIME,
    expires_at DATETIME,
    view_count INTEGER,
    is_active BOOLEAN,
    is_public BOOLEAN,
    allow_comments BOOLEAN,
    PRIMARY KEY (id),
    UNIQUE (share_id),
    FOREIGN KEY(event_id) REFERENCES event (id)
);

CREATE TABLE strategy_drawing (
    id INTEGER NOT NULL,
    match_id INTEGER NOT NULL,
    scouting_team_number INTEGER,
    data_json TEXT NOT NULL,
    last_updated DATETIME,
    created_at DATETIME,
    background_image VARCHAR(256),
    PRIMARY KEY (id),
    UNIQUE (match_id),
    FOREIGN KEY(match_id) REFERENCES "match" (id)
);

CREATE TABLE strategy_share (
    id INTEGER NOT NULL,
    match_id INTEGER NOT NULL,
    token VARCHAR(128) NOT NULL,
    created_by INTEGER,
    created_at DATETIME,
    revoked BOOLEAN,
    PRIMARY KEY (id),
    UNIQUE (token),
    FOREIGN KEY(match_id) REFERENCES "match" (id)
);

CREATE TABLE sync_config (
    id INTEGER NOT NULL,
    "key" VARCHAR(100) NOT NULL,
    value TEXT,
    data_type VARCHAR(20),
    description VARCHAR(255),
    last_updated DATETIME,
    updated_by INTEGER,
    PRIMARY KEY (id),
    UNIQUE ("key")
);

CREATE TABLE sync_servers (
    id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    host VARCHAR(255) NOT NULL,
    port INTEGER,
    protocol VARCHAR(10),
    is_active BOOLEAN,
    is_primary BOOLEAN,
    last_sync DATETIME,
    last_ping DATETIME,
    sync_priority INTEGER,
    created_at DATETIME,
    created_by INTEGER,
    server_version VARCHAR(50),
    server_id VARCHAR(100),
    sync_enabled BOOLEAN,
    sync_database BOOLEAN,
    sync_instance_files BOOLEAN,
    sync_config_files BOOLEAN,
    sync_uploads BOOLEAN,
    connection_timeout INTEGER,
    retry_attempts INTEGER,
    last_error TEXT,
    error_count INTEGER,
    PRIMARY KEY (id)
);

CREATE TABLE team (
    id INTEGER NOT NULL,
    team_number INTEGER NOT NULL,
    team_name VARCHAR(100),
    location VARCHAR(100),
    scouting_team_number INTEGER,
    PRIMARY KEY (id)
);

CREATE TABLE team_alliance_status (
    id INTEGER NOT NULL,
    team_number INTEGER NOT NULL,
    active_alliance_id INTEGER,
    is_alliance_mode_active BOOLEAN,
    activated_at DATETIME,
    deactivated_at DATETIME,
    PRIMARY KEY (id),
    UNIQUE (team_number),
    FOREIGN KEY(active_alliance_id) REFERENCES scouting_alliance (id)
);

CREATE TABLE team_event (
    team_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    PRIMARY KEY (team_id, event_id),
    FOREIGN KEY(event_id) REFERENCES event (id),
    FOREIGN KEY(team_id) REFERENCES team (id)
);

CREATE TABLE team_list_entry (
    id INTEGER NOT NULL,
    team_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    reason TEXT,
    timestamp DATETIME,
    type VARCHAR(50),
    scouting_team_number INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(event_id) REFERENCES event (id),
    FOREIGN KEY(team_id) REFERENCES team (id)
);

CREATE TABLE alliance_selection (
    id INTEGER NOT NULL,
    alliance_number INTEGER NOT NULL,
    captain INTEGER,
    first_pick INTEGER,
    second_pick INTEGER,
    third_pick INTEGER,
    event_id INTEGER NOT NULL,
    timestamp DATETIME,
    scouting_team_number INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(captain) REFERENCES team (id),
    FOREIGN KEY(event_id) REFERENCES event (id),
    FOREIGN KEY(first_pick) REFERENCES team (id),
    FOREIGN KEY(second_pick) REFERENCES team (id),
    FOREIGN KEY(third_pick) REFERENCES team (id)
);

CREATE TABLE pit_scouting_data (
    id INTEGER NOT NULL,
    team_id INTEGER NOT NULL,
    event_id INTEGER,
    scouting_team_number INTEGER,
    scout_name VARCHAR(50) NOT NULL,
    scout_id INTEGER,
    timestamp DATETIME,
    data_json TEXT NOT NULL,
    local_id VARCHAR(36) NOT NULL,
    is_uploaded BOOLEAN,
    upload_timestamp DATETIME,
    device_id VARCHAR(100),
    PRIMARY KEY (id),
    UNIQUE (local_id),
    FOREIGN KEY(event_id) REFERENCES event (id),
    FOREIGN KEY(team_id) REFERENCES team (id)
);

CREATE TABLE scouting_data (
    id INTEGER NOT NULL,
    match_id INTEGER NOT NULL,
    team_id INTEGER NOT NULL,
    scouting_team_number INTEGER,
    scout_name VARCHAR(50),
    scout_id INTEGER,
    scouting_station INTEGER,
    timestamp DATETIME,
    alliance VARCHAR(10),
    data_json TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(match_id) REFERENCES "match" (id),
    FOREIGN KEY(team_id) REFERENCES team (id)
);

CREATE TABLE sync_logs (
    id INTEGER NOT NULL,
    server_id INTEGER NOT NULL,
    sync_type VARCHAR(50) NOT NULL,
    direction VARCHAR(10) NOT NULL,
    status VARCHAR(20) NOT NULL,
    started_at DATETIME,
    completed_at DATETIME,
    error_message TEXT,
    items_synced INTEGER,
    total_items INTEGER,
    bytes_transferred BIGINT,
    sync_details TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(server_id) REFERENCES sync_servers (id)
);
