//! Weights of target groups and how a side's share is divided
//! (`spec/okra.md` 3.4.1, `spec/aws.md` 1.2).

/// Weight of one target group: a part of [`WeightTotal`], 0 to 1000.
pub type Weight = u32;

/// Share of the traffic in percent, 0 to 100.
pub type Percent = u8;

/// What the weights of one forward action add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WeightTotal {
    /// 100: a weight is a percent.
    #[default]
    Hundred,
    /// 1000: finer division of small sides. ELBv2 takes at most 999, so a
    /// lone 1000 is sent as 999 by whoever writes to AWS.
    Thousand,
}

impl WeightTotal {
    /// The sum.
    pub const fn get(self) -> Weight {
        match self {
            Self::Hundred => 100,
            Self::Thousand => 1000,
        }
    }

    /// The weight that stands for this share.
    pub fn of_percent(self, percent: Percent) -> Weight {
        Weight::from(percent.min(100)) * self.get() / 100
    }

    /// The share that this weight stands for, rounded down.
    pub fn to_percent(self, weight: Weight) -> Percent {
        let percent = weight.min(self.get()) * 100 / self.get();
        Percent::try_from(percent).expect("at most 100")
    }
}

impl TryFrom<i64> for WeightTotal {
    type Error = UnknownWeightTotal;

    fn try_from(total: i64) -> Result<Self, Self::Error> {
        match total {
            100 => Ok(Self::Hundred),
            1000 => Ok(Self::Thousand),
            other => Err(UnknownWeightTotal(other)),
        }
    }
}

/// A total that is neither 100 nor 1000.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weightTotal {0} is neither 100 nor 1000")]
pub struct UnknownWeightTotal(pub i64);

/// Divides `total` over `count` entries: the parts differ by at most 1, and
/// the extra units go to the last (`spec/okra.md` 3.4.1).
pub fn share(total: Weight, count: usize) -> Vec<Weight> {
    let Ok(entries) = Weight::try_from(count) else { return Vec::new() };
    if entries == 0 {
        return Vec::new();
    }
    let (each, extra) = (total / entries, total % entries);
    (0..entries).map(|index| each + Weight::from(index >= entries - extra)).collect()
}

/// Brings `weights` to the sum `total` and keeps their proportions: largest
/// remainder, ties to the first; a weight above 0 stays above 0 while the
/// total allows it. All zeros stay zeros.
pub fn scale(weights: &[Weight], total: Weight) -> Vec<Weight> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: Weight| u64::from(weight) * u64::from(total);
    let mut scaled: Vec<Weight> = weights
        .iter()
        .map(|weight| {
            let floor = Weight::try_from(exact(*weight) / sum).expect("at most the total");
            floor.max(Weight::from(*weight > 0))
        })
        .collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).filter(|index| weights[*index] > 0).collect();
    by_remainder.sort_by_key(|index| std::cmp::Reverse(exact(weights[*index]) % sum));
    let mut missing = i64::from(total) - scaled.iter().map(|weight| i64::from(*weight)).sum::<i64>();
    for index in by_remainder.iter().cycle().take(weights.len() * 2) {
        if missing > 0 {
            scaled[*index] += 1;
            missing -= 1;
        }
    }
    while missing < 0 {
        let largest = (0..scaled.len()).max_by_key(|index| (scaled[*index], std::cmp::Reverse(*index)));
        let Some(largest) = largest.filter(|index| scaled[*index] > 0) else { break };
        scaled[largest] -= 1;
        missing += 1;
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn h_32_the_rest_of_a_division_is_spread() {
        for (total, count, expected) in [
            (100, 1, vec![100]),
            (100, 3, vec![33, 33, 34]),
            (20, 2, vec![10, 10]),
            (5, 3, vec![1, 2, 2]),
            (2, 3, vec![0, 1, 1]),
            (20, 3, vec![6, 7, 7]),
            (0, 2, vec![0, 0]),
            (7, 0, vec![]),
        ] {
            assert_eq!(share(total, count), expected, "{total} over {count}");
        }
    }

    #[test]
    fn a_thousand_keeps_one_percent_apart() {
        let total = WeightTotal::Thousand;
        assert_eq!(share(total.of_percent(1), 2), [5, 5]);
        assert_eq!(share(total.get() - total.of_percent(1), 2), [495, 495]);
    }

    #[test]
    fn imported_weights_keep_their_proportions() {
        assert_eq!(scale(&[1, 1], 100), [50, 50]);
        assert_eq!(scale(&[999, 0], 100), [100, 0]);
        assert_eq!(scale(&[999, 1], 100), [99, 1]);
        assert_eq!(scale(&[1, 1, 1], 100), [34, 33, 33]);
        assert_eq!(scale(&[0, 0], 100), [0, 0]);
        assert_eq!(scale(&[70, 30], 100), [70, 30]);
    }

    proptest! {
        #[test]
        fn shares_sum_up_and_differ_by_one(total in 0u32..=1000, count in 1usize..20) {
            let shares = share(total, count);
            prop_assert_eq!(shares.iter().sum::<u32>(), total);
            prop_assert!(shares[count - 1] - shares[0] <= 1);
            prop_assert!(shares.is_sorted());
        }

        #[test]
        fn scaled_weights_sum_up(weights in proptest::collection::vec(0u32..=999, 1..6), thousand: bool) {
            let total = if thousand { 1000 } else { 100 };
            let scaled = scale(&weights, total);
            let expected = if weights.iter().all(|weight| *weight == 0) { 0 } else { total };
            prop_assert_eq!(scaled.iter().sum::<u32>(), expected);
            for (before, after) in weights.iter().zip(&scaled) {
                prop_assert_eq!(*before > 0, *after > 0);
            }
        }
    }
}
