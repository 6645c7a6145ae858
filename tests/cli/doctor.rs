//! What the doctor prints, and its exit codes. What it finds is tested in `tests/doctor.rs`.

use crate::program::Place;

pub(crate) fn findings(place: &Place) {
    // What is proposed leads here, wherever it is pasted.
    let here = place.program();
    place.add("d-config", "5");
    place.put("d-config", "a", "1");
    let run = place.run(&["doctor", "d-config"]).ends(0);
    assert!(
        run.text().contains("0 severe") && run.text().contains("1 of 1 values looked at"),
        "{}",
        run.text()
    );
    place.put("d-config", "db", "{\"password\": \"hunter2\"}");
    let run = place.run(&["doctor", "d-config", "--json"]).ends(0);
    let record = run
        .records()
        .into_iter()
        .find(|one| one["check"] == "secrets");
    let record = record.expect("a finding");
    assert_eq!(record["severity"], "warning");
    assert_eq!(record["bucket"], "d-config");
    assert!(
        record["fix"]
            .as_str()
            .expect("a fix")
            .starts_with(&format!("{here} purge d-config db"))
    );
    assert!(!run.text().contains("hunter2"));

    place
        .run(&[
            "bucket",
            "add",
            "d-locks",
            "--ttl",
            "1h",
            "--marker-ttl",
            "1h",
        ])
        .ends(0);
    place.put("d-locks", "_lock.a", "{\"v\":1,\"next\":0,\"q\":[]}");
    let run = place.run(&["doctor"]).ends(1);
    let text = run.text();
    assert!(
        text.contains("SEVERE   d-locks: locks are kept in it, and it drops entries"),
        "{text}"
    );
    assert!(
        text.contains(&format!("    fix: {here} bucket edit d-locks --ttl none")),
        "{text}"
    );
    place.run(&["doctor", "d-config"]).ends(0);
    place.run(&["doctor", "no-such"]).ends(3);
}
