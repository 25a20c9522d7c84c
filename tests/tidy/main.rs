//! Keeps the house in order: what no compiler looks at.
//!
//! Always true here: every check reads the files of the project itself, named relative to its root, and says which
//! file and line is meant. Not here: formatting and lints, which have their own tools.

mod house;

use house::{House, Source};

/// Longer than this, a file has more than one purpose.
const LINES: usize = 1000;

/// Text that doesn't belong into what is committed, and why. Cut in two, so that it isn't found here.
const BANNED: &[(&str, &str)] = &[
    (concat!("to", "do!("), "unfinished code"),
    (concat!("unimple", "mented!("), "unfinished code"),
    (concat!("dbg", "!("), "left over from looking for a fault"),
    (concat!("FIX", "ME"), "a fault that is known belongs into an issue"),
    (concat!("XX", "X "), "a fault that is known belongs into an issue"),
    (concat!("Err(_) => ", "continue"), "an error that nobody sees"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("../sha", "red"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("Co-Auth", "ored"), "belongs into history, if anywhere"),
];

/// Complains once, of everything that was found.
fn expect_none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn no_file_is_too_long() {
    let house = House::open();
    let long = house.texts().filter(|s| !s.is_generated() && s.text.lines().count() > LINES);
    expect_none("files of more than 1,000 lines", long.map(|s| s.name.clone()).collect());
}

#[test]
fn nothing_banned_is_committed() {
    let house = House::open();
    let mut found = Vec::new();
    for source in house.texts().filter(|s| !s.is_generated()) {
        for (number, line) in source.text.lines().enumerate() {
            for (word, why) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
                found.push(format!("{}:{}: {word} ({why})", source.name, number + 1));
            }
        }
    }
    expect_none("what does not belong here", found);
}

#[test]
fn every_module_says_what_it_is_for() {
    let house = House::open();
    let silent = house.rust().filter(|s| !s.text.trim_start().starts_with("//!") && !s.text.starts_with("#!["));
    expect_none("modules without a word on what they are for", silent.map(|s| s.name.clone()).collect());
}

#[test]
fn every_rust_file_is_part_of_something() {
    let house = House::open();
    let dead = house.rust().filter(|s| s.name.contains("/src/") && !is_declared(&house, s));
    expect_none("Rust files that no module declares", dead.map(|s| s.name.clone()).collect());
}

/// Each of these is left out in some test, which has to notice. The short ways change nothing that could be noticed.
#[test]
fn every_rule_of_the_merge_is_left_out_somewhere() {
    let house = House::open();
    let rules = house.rust().find(|s| s.name.ends_with("engine/src/rule.rs")).expect("the rules");
    let names =
        rules.text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(" = \"").map(|(name, _)| name));
    let names: Vec<&str> = names.filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric())).collect();
    assert!(names.len() > 30, "the rules are written in another way: {names:?}");
    let tests: Vec<&Source> = house.texts().filter(|s| s.name.contains("tests/") && s.name.ends_with(".rs")).collect();
    let noticed = |name: &str| tests.iter().any(|s| s.text.contains(&format!("(Rule::{name}, ")));
    let silent = names.into_iter().filter(|name| !name.ends_with("ShortWay") && !noticed(name));
    expect_none("rules that no test leaves out", silent.map(str::to_owned).collect());
}

fn is_declared(house: &House, source: &Source) -> bool {
    let (folder, file) = source.name.rsplit_once('/').expect("a file of a crate lies in a folder");
    let (parents, module) = match file {
        "lib.rs" | "main.rs" => return true,
        "mod.rs" => {
            folder.rsplit_once('/').map(|(up, module)| (parents_of(up), module)).expect("a module has a parent")
        }
        _ => (parents_of(folder), file.trim_end_matches(".rs")),
    };
    let declares = |text: &str| text.lines().any(|line| line.trim_end().ends_with(&format!("mod {module};")));
    parents.iter().filter_map(|name| house.text(name)).any(declares)
}

fn parents_of(folder: &str) -> Vec<String> {
    let inside = ["lib.rs", "main.rs", "mod.rs"].map(|file| format!("{folder}/{file}"));
    inside.into_iter().chain([format!("{folder}.rs")]).collect()
}

#[test]
fn every_library_has_a_decision() {
    let house = House::open();
    let decisions: String = house.texts().filter(|s| s.name.starts_with("docs/decisions/")).map(|s| &*s.text).collect();
    let named =
        |library: &str| decisions.contains(&format!("**{library}**")) || decisions.contains(&format!("`{library}`"));
    let libraries = workspace_libraries(&house).into_iter().chain(page_libraries(&house));
    expect_none("libraries that no decision names", libraries.filter(|l| !named(l)).collect());
}

fn workspace_libraries(house: &House) -> Vec<String> {
    let manifest = house.text("Cargo.toml").expect("there is a workspace");
    let table = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    let lines = table.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    names.filter(|name| !name.starts_with("lockstep-")).collect()
}

fn page_libraries(house: &House) -> Vec<String> {
    let manifest = house.json("ui/package.json");
    let tables = ["dependencies", "devDependencies"].map(|table| manifest[table].as_object().expect("a table").clone());
    tables.into_iter().flatten().map(|(name, _)| name).collect()
}

#[test]
fn every_threat_names_a_test_that_is_there() {
    let house = House::open();
    let security = house.text("docs/security.md").expect("the threats are described");
    let tests: String = house.texts().filter(|s| s.name.ends_with(".rs")).map(|s| &*s.text).collect();
    let rows = security.lines().filter(|l| l.starts_with("| ") && l.matches(" | ").count() == 2);
    let words = rows.flat_map(|l| l.split([' ', ',', '|'])).filter(|w| w.matches('_').count() >= 3);
    let words: Vec<&str> = words.collect();
    assert!(words.len() > 15, "the threats name their tests");
    let missing = words.into_iter().filter(|w| !tests.contains(&format!("fn {w}(")));
    expect_none("tests that docs/security.md names and nobody wrote", missing.map(str::to_owned).collect());
}

#[test]
fn every_deliberate_fault_still_has_its_place() {
    let house = House::open();
    let list: toml::Table = house.text("tests/mutants/list.toml").expect("the list").parse().expect("TOML");
    let lost = list["mutant"].as_array().expect("faults").iter().filter(|m| {
        let text = |k: &str| m[k].as_str().expect("a text");
        house.text(text("file")).is_none_or(|source| source.matches(text("old")).count() != 1)
    });
    expect_none("faults whose text is not there once", lost.map(|m| m["name"].to_string()).collect());
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let house = House::open();
    let readme = house.text("README.md").expect("there is a README");
    let beginning: String = readme.lines().take(20).collect();
    for command in ["make demo", "make test"] {
        assert!(beginning.contains(command), "README.md doesn't show `{command}` at its beginning");
    }
}

#[test]
fn the_architecture_names_every_part() {
    let house = House::open();
    let architecture = house.text("docs/architecture.md").expect("the architecture is described");
    for part in ["crates/engine", "crates/wire", "crates/node", "crates/cli", "src-tauri/", "ui/"] {
        assert!(architecture.contains(&format!("`{part}`")), "docs/architecture.md says nothing of {part}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let house = House::open();
    let mut broken = Vec::new();
    for source in house.texts().filter(|s| s.name.ends_with(".md")) {
        let folder = source.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in source.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !link.contains("://") && !house.has(folder, target) {
                broken.push(format!("{}: {link}", source.name));
            }
        }
    }
    expect_none("links that lead nowhere", broken);
}

#[test]
fn the_page_reaches_the_shell_in_one_place() {
    let house = House::open();
    let page = || house.texts().filter(|s| s.name.starts_with("ui/src/"));
    let importers = page().filter(|s| s.text.contains("from \"@tauri-apps")).map(|s| s.name.clone());
    assert_eq!(importers.collect::<Vec<_>>(), ["ui/src/host/real.ts"]);
    let markup = page().filter(|s| s.name.ends_with(".svelte"));
    let unsafe_markup = markup.filter(|s| s.text.contains("{@html") || s.text.contains(" style=\""));
    expect_none("markup that the policy refuses", unsafe_markup.map(|s| s.name.clone()).collect());
}

#[test]
fn the_page_may_call_what_is_named_and_nothing_else() {
    let house = House::open();
    let build = house.text("src-tauri/build.rs").expect("the console has a build script");
    let list = between(build, "COMMANDS: &[&str] = &[", "]");
    let named: Vec<_> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let shell = house.text("src-tauri/src/lib.rs").expect("the console has a library");
    let handled = between(shell, "generate_handler![", "]")
        .split(',')
        .map(|c| c.trim().rsplit("::").next().unwrap_or_default().to_owned());
    assert_eq!(handled.filter(|c| !c.is_empty()).collect::<Vec<_>>(), named);

    let capability = house.json("src-tauri/capabilities/main.json");
    let permissions = capability["permissions"].as_array().expect("a list");
    let allowed = permissions.iter().filter_map(|p| p.as_str()?.strip_prefix("allow-")).map(|c| c.replace('-', "_"));
    assert_eq!(allowed.collect::<Vec<_>>(), named);

    let policy = house.json("tauri.conf.json")["app"]["security"]["csp"].to_string();
    assert!(!policy.contains("unsafe") && policy.contains(r#""default-src":"'none'""#), "{policy}");
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("{start} is not there"));
    rest.split_once(end).map_or(rest, |(found, _)| found)
}
