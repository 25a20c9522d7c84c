//! The messages of a comparison hold what they are given, and refuse what no node says.
mod support;

use lockstep_engine::compare::Cell;
use lockstep_engine::value::Value;
use lockstep_wire::Limits;
use lockstep_wire::compare::*;
use lockstep_wire::message::Message;
use support::golden;

fn code<M: Message + std::fmt::Debug>(text: &str, limits: &Limits) -> &'static str {
    M::from_json(text.as_bytes(), limits).unwrap_err().code()
}

#[test]
fn a_row_comes_out_as_it_went_in_and_long_values_as_their_hash() {
    let row = golden::row();
    assert_eq!(RowTold::new(row.clone(), 1000).row(), row);
    let mut long = row;
    long.columns[5].cells = vec![Cell::Value(Value::text(&"x".repeat(2000)))];
    let told = RowTold::new(long.clone(), 1000).row();
    assert!(matches!(told.columns[5].cells[0], Cell::Large { bytes: 2000, .. }));
    assert!(told.columns[5].cells[0].is(&long.columns[5].cells[0]));
    assert_eq!(told.columns[6], long.columns[6]);
}

#[test]
fn nothing_in_a_question_or_an_answer_is_unbounded() {
    let limits = Limits::default();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (ranges, births, rows) =
        (text(golden::ranges().to_json()), text(golden::births().to_json()), text(golden::rows().to_json()));
    let reply = text(golden::rows_reply().to_json());
    for tight in [Limits { name: 3, ..limits }, Limits { ranges: 1, ..limits }] {
        assert_eq!(code::<Ranges>(&ranges, &tight), "message_too_large");
        assert_eq!(code::<Births>(&births, &tight), "message_too_large");
    }
    assert_eq!(code::<Rows>(&rows, &Limits { rows: 1, ..limits }), "message_too_large");
    for tight in [
        Limits { rows: 1, ..limits },
        Limits { columns: 3, ..limits },
        Limits { replicas: 1, ..limits },
        Limits { items: 1, ..limits },
        Limits { name: 2, ..limits },
    ] {
        assert_eq!(code::<RowsReply>(&reply, &tight), "message_too_large", "{tight:?}");
    }
    let births_reply = text(golden::births_reply().to_json());
    assert_eq!(code::<BirthsReply>(&births_reply, &Limits { births: 1, ..limits }), "message_too_large");
    // No range that is none, none without parts where parts are asked for, no dot that is none.
    for bad in ["0F", "g", "12345", "beef"] {
        assert_eq!(code::<Ranges>(&ranges.replace("\"0f\"", &format!("\"{bad}\"")), &limits), "message_malformed");
    }
    assert_eq!(code::<Rows>(&rows.replace(",7]", ",0]"), &limits), "message_malformed");
    assert_eq!(code::<RowsReply>(&reply.replace("\"apart\"", "\"odd\""), &limits), "message_malformed");
    assert_eq!(code::<RowsReply>(&reply.replace("\"c1\"", "\"c0\""), &limits), "message_malformed");
    for bad in
        ["{}", "{\"raw\":{\"raw\":1}}", "{\"raw\":1,\"raw\":1}", "{\"odd\":1}", "[]", "true", "18446744073709551615"]
    {
        assert_eq!(code::<RowsReply>(&reply.replace("{\"raw\":99}", bad), &limits), "message_malformed", "{bad}");
    }
}
