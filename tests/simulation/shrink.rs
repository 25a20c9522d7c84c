//! Making a failing list of steps short: pieces are left out, large ones first, as long as it goes on failing (delta
//! debugging, after Zeller and Hildebrandt).

/// The steps that are needed to fail. `fails` says whether some of them, in their order, still do; all of them have to.
pub fn shrink<T: Clone>(steps: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = steps.to_vec();
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let (mut at, mut dropped) = (0, false);
        while at < kept.len() {
            let end = (at + size).min(kept.len());
            let without = [&kept[..at], &kept[end..]].concat();
            if fails(&without) {
                (kept, dropped) = (without, true);
            } else {
                at = end;
            }
        }
        // What one step needed may be gone now, and then so may the step.
        if size > 1 || !dropped {
            size /= 2;
        }
    }
    kept
}

#[test]
fn what_is_not_needed_to_fail_is_dropped() {
    let steps: Vec<u32> = (0..50).collect();
    let mut asked = 0;
    let short = shrink(&steps, |some| {
        asked += 1;
        // 41 needs 7, and 19 hides the fault unless 20 undoes it.
        some.contains(&7) && some.contains(&41) && (!some.contains(&19) || some.contains(&20))
    });
    assert_eq!(short, [7, 41]);
    assert!(asked < 100, "{asked} tries for fifty steps");
    assert_eq!(shrink(&steps, |_| true), [0; 0]);
    assert_eq!(shrink(&steps, |some| some.len() == 50), steps);
}
