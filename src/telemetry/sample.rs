//! Which of the plain admits are logged: decided by the request's uid alone, so that every replica, and whoever
//! looks at it later, decides alike.

use sha2::{Digest, Sha256};

/// A share of all requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample(f64);

impl Default for Sample {
    /// One in a hundred: enough to see what an admit looks like and how long it takes. That every admit is counted is
    /// for the metrics, and that every one is kept for the API server's audit log.
    fn default() -> Self {
        Self(0.01)
    }
}

impl Sample {
    /// `share` is between 0 (none) and 1 (all), and is taken to be the nearer of them otherwise.
    #[must_use]
    pub fn of(share: f64) -> Self {
        Self(share.clamp(0.0, 1.0))
    }

    /// How many of all are kept: a line stands for this part of one.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }

    /// Whether the request with this uid is one of them: the first four bytes of the uid's SHA-256, as a number
    /// (big-endian) below 2³², are less than the share of that.
    #[must_use]
    pub fn keeps(self, uid: &str) -> bool {
        let hash = Sha256::digest(uid.as_bytes());
        let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
        f64::from(first) < self.0 * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::Sample;

    #[test]
    fn keeps_its_share_and_always_the_same() {
        let uids: Vec<String> = (0..20_000).map(|n| format!("705ab4f5-6393-11e8-b7cc-{n:012x}")).collect();
        for (share, least, most) in
            [(0.0, 0, 0), (1.0, 20_000, 20_000), (0.1, 1_850, 2_150), (7.0, 20_000, 20_000)]
        {
            let kept = uids.iter().filter(|uid| Sample::of(share).keeps(uid)).count();
            assert!((least..=most).contains(&kept), "{share}: {kept}");
        }
        // Whoever is in a small sample is in every larger one.
        assert!(uids.iter().filter(|uid| Sample::of(0.01).keeps(uid)).all(|uid| Sample::of(0.2).keeps(uid)));
        // Their hashes begin with bb82 and e9c9: replicas of another version must agree.
        for (uid, share, kept) in
            [("u1", 0.73, false), ("u1", 0.74, true), ("u4", 0.91, false), ("u4", 0.92, true)]
        {
            assert_eq!(Sample::of(share).keeps(uid), kept, "{uid} {share}");
        }
    }
}
