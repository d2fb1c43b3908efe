//! Names for containers that were given none.

/// What it is like.
const LIKE: &str = "\
    agile airy amber ample azure balmy bold brave bright brisk calm candid clear clever coral cosy crisp curious daring \
    deep deft dewy eager early earnest easy elder fabled fair fleet fluent fond frank fresh frosty gentle gilded glad \
    gleaming golden grand hardy hazel hearty honest humble idle ivory jaunty jolly jovial keen kind limber lively loyal \
    lucid lunar mellow merry mild misty modest neat nimble noble opal patient pearly placid polished prim proud quick \
    quiet rapid ready rosy round salty serene shiny silent silver sleek snug solid sound spry steady sunny swift tidal \
    tidy tranquil true vivid warm wise witty";

/// What it is: what lives in the sea, and what sails on it.
const WHAT: &str = "\
    abalone albatross anchovy anemone angler argonaut auklet barnacle beluga bonito brig brill capelin clam clipper cockle \
    conch copepod cormorant cowrie crab cutter cuttle dolphin dorado dory dugong dulse eider fulmar galleon gannet garfish \
    goby grouper grunion guillemot gurnard haddock halibut herring isopod kelp ketch kittiwake krill lamprey limpet \
    lobster lugger mackerel manatee manta marlin medusa mullet murex mussel narwhal nautilus octopus orca osprey oyster \
    pelican penguin periwinkle petrel pilchard plaice plankton pollock porpoise prawn puffin ray remora sardine schooner \
    seal shrimp skate skiff sloop smelt sole sprat squid starfish sturgeon sunfish tarpon tern triton tuna turbot turtle \
    urchin walrus whelk";

/// How many words each list has.
const WORDS: u64 = 100;

/// A name for 64 random bits. From the sixth try on, when many names are taken, it ends in digits, as Docker's do.
pub(crate) fn name(random: u64, tries: usize) -> String {
    let pick = |list: &'static str, at: u64| list.split(' ').nth(usize::try_from(at % WORDS).unwrap_or_default()).unwrap_or_default();
    let name = format!("{}_{}", pick(LIKE, random), pick(WHAT, random / WORDS));
    let digits = u32::try_from(tries.saturating_sub(5)).unwrap_or(u32::MAX).min(15);
    if digits == 0 { name } else { format!("{name}{}", random / WORDS / WORDS % 10_u64.pow(digits)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_each_is_there_once() {
        for list in [LIKE, WHAT] {
            let words: Vec<&str> = list.split(' ').collect();
            assert_eq!(words.len() as u64, WORDS);
            assert!(words.is_sorted_by(|one, next| one < next), "a word is twice or out of order: {list}");
            assert!(words.iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())));
        }
    }

    #[test]
    fn names_end_in_digits_when_most_are_taken() {
        assert_eq!(name(0, 0), "agile_abalone");
        assert_eq!(name(10_199, 5), "witty_albatross");
        assert_eq!(name(70_199, 6), "witty_albatross7");
        assert_eq!(name(1_230_199, 8), "witty_albatross123");
    }
}
