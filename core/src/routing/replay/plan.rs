//! Who goes where, when everybody's best channel has not room for everybody: flows of the most value.
//!
//! Each step sends as much as fits along the path that gains most; a path may take payers off a channel and put them on
//! another to make room. That ends in the best plan there is. It knows numbers only.

const NOTHING: f64 = 1e-9;

/// For each kind of payers the flow to each channel: no more than the demand in a row, than the capacity in a column.
pub(super) fn most_valuable(demands: &[f64], capacities: &[f64], values: &[&[f64]]) -> Vec<Vec<f64>> {
    let mut flows = vec![vec![0.0; capacities.len()]; demands.len()];
    let (mut wanting, mut room) = (demands.to_vec(), capacities.to_vec());
    for _ in 0..4 * (demands.len() + 1) * (capacities.len() + 1) {
        let Some(path) = best_path(&wanting, &room, values, &flows) else { break };
        let start = path[0].0;
        let end = path[path.len() - 1].1;
        let moved =
            path.windows(2).map(|pair| flows[pair[1].0][pair[0].1]).fold(wanting[start].min(room[end]), f64::min);
        wanting[start] -= moved;
        room[end] -= moved;
        for (place, (kind, channel)) in path.iter().enumerate() {
            flows[*kind][*channel] += moved;
            if let Some((displaced, _)) = path.get(place + 1) {
                flows[*displaced][*channel] -= moved;
            }
        }
    }
    flows
}

/// The steps (kind of payers to channel) of the path that gains most; after each channel but the last, the next kind is
/// displaced from it.
fn best_path(wanting: &[f64], room: &[f64], values: &[&[f64]], flows: &[Vec<f64>]) -> Option<Vec<(usize, usize)>> {
    let (kinds, channels) = (wanting.len(), room.len());
    let mut at_kind: Vec<f64> = wanting.iter().map(|want| if *want > NOTHING { 0.0 } else { f64::MIN }).collect();
    let mut at_channel = vec![(f64::MIN, usize::MAX); channels];
    let mut displaced_from = vec![usize::MAX; kinds];
    for _ in 0..kinds + channels {
        for kind in (0..kinds).filter(|kind| at_kind[*kind] > f64::MIN).collect::<Vec<_>>() {
            for channel in (0..channels).filter(|channel| values[kind][*channel] > 0.0) {
                let gain = at_kind[kind] + values[kind][channel];
                if gain > at_channel[channel].0 + NOTHING {
                    at_channel[channel] = (gain, kind);
                }
            }
        }
        for channel in (0..channels).filter(|channel| at_channel[*channel].0 > f64::MIN).collect::<Vec<_>>() {
            for kind in (0..kinds).filter(|kind| flows[*kind][channel] > NOTHING) {
                let gain = at_channel[channel].0 - values[kind][channel];
                if gain > at_kind[kind] + NOTHING {
                    (at_kind[kind], displaced_from[kind]) = (gain, channel);
                }
            }
        }
    }
    let free = (0..channels).filter(|channel| room[*channel] > NOTHING && at_channel[*channel].0 > NOTHING);
    let mut channel = free.max_by(|a, b| at_channel[*a].0.total_cmp(&at_channel[*b].0))?;
    let mut path = Vec::new();
    while path.len() <= kinds + channels {
        let kind = at_channel[channel].1;
        path.push((kind, channel));
        channel = displaced_from[kind];
        if channel == usize::MAX {
            path.reverse();
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_a_choice_make_room_for_those_without() {
        let flows = most_valuable(&[10.0, 10.0], &[10.0, 10.0], &[&[0.9, 0.8], &[0.9, 0.0]]);
        assert_eq!(flows, [[0.0, 10.0], [10.0, 0.0]]);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let flows = most_valuable(&[10.0], &[4.0, 3.0], &[&[0.5, 0.9]]);
        assert_eq!(flows, [[4.0, 3.0]]);
    }
}
