//! Words of closed sets, as the page and the node say them.

use serde::{Deserialize, Serialize};

/// A set of words. What the node says beyond it is the last of them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        #[allow(missing_docs)]
        pub(crate) enum $name {
            $(#[serde(rename = $word)] $variant,)+
        }

        impl $name {
            const ALL: &[($name, &str)] = &[$(($name::$variant, $word)),+];

            /// Of a word.
            #[allow(dead_code, reason = "some sets are only ever told, some only heard")]
            pub(crate) fn named(word: &str) -> $name {
                let known = $name::ALL.iter().find(|(_, w)| *w == word);
                known.or($name::ALL.last()).expect("a set of words has one").0
            }

            /// The word.
            #[allow(dead_code, reason = "some sets are only ever told, some only heard")]
            pub(crate) fn word(self) -> &'static str {
                $name::ALL.iter().find(|(n, _)| *n == self).map_or("", |(_, word)| word)
            }
        }
    };
}

words! {
    /// Which way a change goes, as seen from this node.
    Direction: Incoming = "incoming", Outgoing = "outgoing"
}
words! {
    /// How two nodes have a table differently.
    MismatchKind: TableMissing = "table_missing", ColumnMissing = "column_missing", ConfigDiffers = "config_differs"
}
words! {
    /// What kind of conflict it is.
    ConflictKind: UpdateUpdate = "update_update", UpdateDelete = "update_delete", DeleteUpdate = "delete_update",
    InsertInsert = "insert_insert", Unique = "unique", MissingParent = "missing_parent",
    ParentDeleted = "parent_deleted", TableMissing = "table_missing", ColumnMissing = "column_missing",
    ConfigDiffers = "config_differs", Clock = "clock", IdCollision = "id_collision", Difference = "difference", DeleteGuard = "delete_guard",
    Review = "review", Constraint = "constraint"
}
words! {
    /// Why something waits.
    HoldReason: Guard = "guard", Unique = "unique", Identity = "identity", MissingParent = "missing_parent",
    ParentDeleted = "parent_deleted", Constraint = "constraint", TableMissing = "table_missing",
    ColumnMissing = "column_missing", ConfigDiffers = "config_differs", Clock = "clock", Difference = "difference", Review = "review"
}
words! {
    /// Who started a run.
    RunTrigger: Person = "person", Pair = "pair", Change = "change", News = "news", Retry = "retry", Start = "start",
    Daily = "daily", Peer = "peer"
}
words! {
    /// How a run ended. Only verified is a success.
    RunEnd: Verified = "verified", Partial = "partial", Failed = "failed"
}
words! {
    /// How a table stood at the end of a run. `moving`: it was written to all the while.
    TableEnd: Equal = "equal", Differs = "differs", Moving = "moving", NotCompared = "not_compared"
}
words! {
    /// How a row differs.
    Difference: OnlyHere = "only_here", OnlyThere = "only_there", Different = "different"
}
words! {
    /// Why a table was not found equal. `behind`: writes to it are under way.
    Unverified: Differs = "differs", Behind = "behind", ConfigDiffers = "config_differs"
}
words! {
    /// How a version ended: it shows, a later write knew and replaced it, it lost a conflict, was deleted, is held.
    VersionEnd: Visible = "visible", Lost = "lost", Deleted = "deleted", Held = "held", Superseded = "superseded"
}
words! {
    /// What a suggestion is about.
    SuggestionKind: Identity = "identity", Reference = "reference", Exclude = "exclude", Review = "review",
    Modified = "modified"
}
words! {
    /// What is judged alone in a merge.
    Merge: Column = "column", Row = "row"
}
words! {
    /// What is shared goes so.
    ShareDirection: Send = "send", Receive = "receive", Both = "both", None = "none"
}
words! {
    /// How the files of two nodes began.
    Began: Copies = "copies", Separate = "separate"
}
words! {
    /// Which side stands where nobody knows.
    PreferSide: Here = "here", There = "there", Review = "review"
}
words! {
    /// What a setting may be.
    SettingKind: Boolean = "boolean", Count = "count", Duration = "duration", Share = "share", Choice = "choice",
    Text = "text"
}

impl HoldReason {
    /// What the node says of a held change: a clash that a person decides is under review, whatever clashed.
    pub(crate) fn of(kind: &str) -> HoldReason {
        match kind {
            "delete_guard" => HoldReason::Guard,
            "id_collision" => HoldReason::Identity,
            other => HoldReason::named(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_node::engine::ConflictKind as NodeKind;

    #[test]
    fn every_kind_of_conflict_has_its_word_and_its_reason() {
        for kind in NodeKind::ALL {
            assert_eq!(ConflictKind::named(kind.name()).word(), kind.name());
        }
        assert_eq!(ConflictKind::ALL.len(), NodeKind::ALL.len(), "and there is no word that the node does not say");
    }

    #[test]
    fn a_clash_that_a_person_decides_is_under_review() {
        assert_eq!(HoldReason::of("update_delete"), HoldReason::Review);
        assert_eq!(HoldReason::of("delete_guard"), HoldReason::Guard);
        assert_eq!((HoldReason::of("clock"), HoldReason::Clock.word()), (HoldReason::Clock, "clock"));
    }
}
