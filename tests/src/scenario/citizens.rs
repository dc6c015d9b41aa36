//! Citizens with a traffic sensor in their window, beside the two real ones: generated, deterministic, and marked as
//! generated in every name.

use std::fmt::Write as _;

/// The two real sensors: file, segment, street.
pub const REAL: [(&str, &str, &str); 2] = [
    (
        "graaf_karel_de_goedelaan_per-hour.csv",
        "9000009940",
        "Graaf Karel de Goedelaan",
    ),
    (
        "sintmartenslatemlaan_per-hour.csv",
        "9000008372",
        "Sint-Martens-Latemlaan",
    ),
];

/// One citizen: the storage, the sensor, the street, and whether a consent was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citizen {
    /// Name of the storage.
    pub storage: String,
    /// Identifier of the sensor's road segment.
    pub segment: String,
    /// Street.
    pub street: String,
    /// Whether the citizen says yes to the request of the scenario.
    pub consents: bool,
    /// Whether the data was generated.
    pub generated: bool,
}

/// The two real sensors' citizens first, then `generated` more.
#[must_use]
pub fn citizens(generated: usize) -> Vec<Citizen> {
    let real = REAL.iter().map(|(_, segment, street)| Citizen {
        storage: format!("telraam-{segment}"),
        segment: (*segment).to_owned(),
        street: (*street).to_owned(),
        consents: true,
        generated: false,
    });
    real.chain((0..generated).map(citizen)).collect()
}

/// Six neighbours for each real sensor; then a street of three, too few to be shown; then streets of about eight.
fn citizen(number: usize) -> Citizen {
    let street = match number {
        0..6 => REAL.first().map_or("", |real| real.2).to_owned(),
        6..12 => REAL.get(1).map_or("", |real| real.2).to_owned(),
        12..15 => "Gegenereerde straat 00".to_owned(),
        _ => format!("Gegenereerde straat {:02}", 1 + (number - 15) / 8),
    };
    Citizen {
        storage: format!("gegenereerd-{number:04}"),
        segment: format!("gegenereerd-{number:04}"),
        street,
        consents: number % 10 != 9,
        generated: true,
    }
}

/// The generated citizens' counts for the week of 20 November 2025, in the columns of the real files and two more.
#[must_use]
pub fn table(citizens: &[Citizen]) -> String {
    let mut text = String::from("storage,street,segment_id,date,uptime,bike\n");
    for (number, citizen) in citizens.iter().enumerate().filter(|(_, citizen)| citizen.generated) {
        for hour in 0..7 * 24_u64 {
            let (day, hour_of_day) = (20 + hour / 24, hour % 24);
            let busy = [7, 8, 16, 17].contains(&hour_of_day);
            let count = random(number as u64, hour) % if busy { 40 } else { 9 };
            let _ = writeln!(
                text,
                "{},{},{},2025-11-{day:02}T{hour_of_day:02}:00:00.000Z,0.99,{count}.0",
                citizen.storage, citizen.street, citizen.segment
            );
        }
    }
    text
}

/// A number that looks random and is always the same (SplitMix64).
#[must_use]
pub fn random(stream: u64, step: u64) -> u64 {
    let mut state = stream
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(step.wrapping_mul(0xD1B5_4A32_D192_ED03));
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
