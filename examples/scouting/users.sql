-- users.db of the example: accounts and roles. user_roles refers to both without saying so.

CREATE TABLE role (
    id INTEGER NOT NULL,
    name VARCHAR(80) NOT NULL,
    description VARCHAR(255),
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE user (
    id INTEGER NOT NULL,
    username VARCHAR(80) NOT NULL,
    email VARCHAR(120),
    password_hash VARCHAR(128),
    scouting_team_number INTEGER,
    is_active BOOLEAN,
    created_at DATETIME,
    updated_at DATETIME,
    last_login DATETIME,
    profile_picture VARCHAR(256),
    must_change_password BOOLEAN,
    PRIMARY KEY (id),
    UNIQUE (email),
    UNIQUE (username)
);

CREATE TABLE user_roles (
    user_id INTEGER NOT NULL,
    role_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, role_id)
);
