//! The shop's data: a catalogue made at start-up, the same each time, and what a shop asks of it. Nothing here knows of
//! a cache.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use serde::Serialize;

pub(crate) const PRODUCTS: u32 = 120_000;
const PER_PAGE: usize = 20;

/// Every product, and for "similar products" the words of each as numbers.
pub(crate) struct Catalogue {
    products: Vec<Product>,
    /// How rare each word is: the weight it has when two products share it.
    rarity: Vec<f32>,
}

struct Product {
    id: u32,
    name: String,
    category: &'static str,
    description: String,
    /// The distinct words of name, category and description, as indices into `Catalogue::rarity`.
    words: Vec<u16>,
    /// The length of the vector that the words' rarities make.
    norm: f32,
    cents: AtomicU64,
    stock: AtomicU32,
}

/// A product in a list.
#[derive(Serialize)]
pub(crate) struct Line {
    pub(crate) id: u32,
    name: String,
    category: &'static str,
    cents: u64,
    stock: u32,
    score: f32,
}

/// One page of a search.
#[derive(Serialize)]
pub(crate) struct Page {
    query: String,
    page: usize,
    matches: usize,
    /// How many of the matches lie in each category.
    facets: BTreeMap<&'static str, usize>,
    pub(crate) products: Vec<Line>,
}

/// All about one product.
#[derive(Serialize)]
pub(crate) struct Detail {
    id: u32,
    name: String,
    category: &'static str,
    description: String,
    cents: u64,
    pub(crate) stock: u32,
    pub(crate) similar: Vec<Line>,
}

// === impl Catalogue ===

impl Catalogue {
    pub(crate) fn generate() -> Self {
        let mut dice = Dice(0x5EED);
        let mut products: Vec<Product> = (1..=PRODUCTS).map(|id| Product::generate(id, &mut dice)).collect();

        let mut numbers = HashMap::new();
        let mut uses: Vec<u32> = Vec::new();
        for product in &mut products {
            let mut words: Vec<u16> = product
                .fields()
                .into_iter()
                .flat_map(|(_, text)| text.split(' '))
                .map(|word| {
                    let next = numbers.len() as u16;
                    *numbers.entry(word.to_owned()).or_insert(next)
                })
                .collect();
            words.sort_unstable();
            words.dedup();
            uses.resize(numbers.len(), 0);
            for word in &words {
                uses[usize::from(*word)] += 1;
            }
            product.words = words;
        }
        let rarity: Vec<f32> = uses.iter().map(|uses| (PRODUCTS as f32 / *uses as f32).ln()).collect();
        for product in &mut products {
            let squares: f32 = product.words.iter().map(|word| rarity[usize::from(*word)].powi(2)).sum();
            product.norm = squares.sqrt();
        }
        Self { products, rarity }
    }

    /// Reads every product, as a shop without a search engine does. A word of the query may be the beginning of a word
    /// of the product, or have a typing error. All words must occur; the more often, and the nearer to the name, the
    /// better. What is sold out is not shown. The price has no say.
    pub(crate) fn search(&self, query: &str, page: usize) -> Page {
        let query = query.to_lowercase();
        let terms: Vec<&str> = query.split_whitespace().take(8).collect();
        let mut facets = BTreeMap::new();
        let mut found: Vec<(f32, &Product)> = Vec::new();
        for product in self.products.iter().filter(|product| product.stock() > 0) {
            let score = product.score(&terms);
            if score > 0.0 {
                *facets.entry(product.category).or_default() += 1;
                found.push((score, product));
            }
        }
        found.sort_unstable_by(best_first);
        let shown = found.iter().skip(page.saturating_sub(1).saturating_mul(PER_PAGE)).take(PER_PAGE);
        Page {
            page: page.max(1),
            matches: found.len(),
            facets,
            products: shown.map(|(score, product)| product.line(*score)).collect(),
            query,
        }
    }

    /// A product, and the eight most like it by the cosine between their words.
    pub(crate) fn detail(&self, id: u32) -> Option<Detail> {
        let product = self.product(id)?;
        let mut weights = vec![0.0; self.rarity.len()];
        for word in &product.words {
            let word = usize::from(*word);
            weights[word] = self.rarity[word] * self.rarity[word];
        }
        let mut similar: Vec<(f32, &Product)> = self
            .products
            .iter()
            .filter(|other| other.id != id)
            .map(|other| {
                let shared: f32 = other.words.iter().map(|word| weights[usize::from(*word)]).sum();
                (shared / (product.norm * other.norm), other)
            })
            .collect();
        similar.select_nth_unstable_by(8, best_first);
        similar.truncate(8);
        similar.sort_unstable_by(best_first);
        Some(Detail {
            id,
            name: product.name.clone(),
            category: product.category,
            description: product.description.clone(),
            cents: product.cents(),
            stock: product.stock(),
            similar: similar.into_iter().map(|(score, product)| product.line(score)).collect(),
        })
    }

    /// Returns what it did cost, or `None` if there is no such product.
    pub(crate) fn set_price(&self, id: u32, cents: u64) -> Option<u64> {
        Some(self.product(id)?.cents.swap(cents, Ordering::Relaxed))
    }

    /// Returns how many there were, or `None` if there is no such product.
    pub(crate) fn set_stock(&self, id: u32, stock: u32) -> Option<u32> {
        Some(self.product(id)?.stock.swap(stock, Ordering::Relaxed))
    }

    fn product(&self, id: u32) -> Option<&Product> {
        self.products.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }
}

fn best_first(a: &(f32, &Product), b: &(f32, &Product)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id))
}

// === impl Product ===

impl Product {
    fn generate(id: u32, dice: &mut Dice) -> Self {
        let (category, things) = dice.pick(CATEGORIES);
        let (thing, look, stuff) = (dice.pick(things), dice.pick(LOOKS), dice.pick(STUFFS));
        let name = format!("{look} {stuff} {thing}");
        let description = (0..3)
            .map(|_| {
                format!(
                    "{} {} {} {} {}",
                    dice.pick(LOOKS),
                    dice.pick(QUALITIES),
                    dice.pick(STUFFS),
                    dice.pick(PLACES),
                    dice.pick(QUALITIES)
                )
            })
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            id,
            name,
            category,
            description,
            words: Vec::new(),
            norm: 0.0,
            cents: AtomicU64::new(199 + dice.below(50_000)),
            stock: AtomicU32::new(dice.below(200) as u32),
        }
    }

    /// The texts, with what a word in each of them counts.
    fn fields(&self) -> [(f32, &str); 3] {
        [(5.0, &self.name), (3.0, self.category), (1.0, &self.description)]
    }

    fn score(&self, terms: &[&str]) -> f32 {
        let mut total = 0.0;
        for term in terms {
            let mut frequency = 0.0;
            for (weight, text) in self.fields() {
                frequency += weight * text.split(' ').map(|word| likeness(term, word)).sum::<f32>();
            }
            if frequency == 0.0 {
                return 0.0;
            }
            // The fifth mention says less than the first.
            total += frequency / (frequency + 2.0);
        }
        total
    }

    fn line(&self, score: f32) -> Line {
        Line {
            id: self.id,
            name: self.name.clone(),
            category: self.category,
            cents: self.cents(),
            stock: self.stock(),
            score,
        }
    }

    fn cents(&self) -> u64 {
        self.cents.load(Ordering::Relaxed)
    }

    fn stock(&self) -> u32 {
        self.stock.load(Ordering::Relaxed)
    }
}

/// From 1 (the same word) to 0 (another word).
fn likeness(term: &str, word: &str) -> f32 {
    if term == word {
        1.0
    } else if word.starts_with(term) {
        0.7
    } else if term.len() >= 4 && one_slip_apart(term.as_bytes(), word.as_bytes()) {
        0.4
    } else {
        0.0
    }
}

/// Whether one letter changed, missing, added or swapped with its neighbour turns one word into the other.
fn one_slip_apart(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short[same..], &long[same..]);
    match long.len() - short.len() {
        0 => match (short, long) {
            ([a, b, rest @ ..], [c, d, tail @ ..]) if (a, b) == (d, c) => rest == tail,
            ([_, rest @ ..], [_, tail @ ..]) => rest == tail,
            _ => true,
        },
        1 => long[1..] == *short,
        _ => false,
    }
}

/// SplitMix64: the same catalogue on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

type Category = (&'static str, &'static [&'static str]);

#[rustfmt::skip]
const CATEGORIES: &[Category] = &[
    ("lighting", &["lamp", "lantern", "chandelier", "candlestick", "spotlight", "sconce"]),
    ("seating", &["chair", "armchair", "bench", "stool", "sofa", "rocker", "ottoman"]),
    ("tables", &["table", "desk", "sideboard", "workbench", "nightstand", "console"]),
    ("storage", &["shelf", "cabinet", "drawer", "chest", "wardrobe", "basket", "bookcase"]),
    ("kitchen", &["kettle", "teapot", "saucepan", "skillet", "grinder", "colander", "jug"]),
    ("garden", &["trowel", "planter", "birdhouse", "hammock", "parasol", "wheelbarrow"]),
    ("textiles", &["blanket", "curtain", "cushion", "rug", "towel", "quilt", "tablecloth"]),
    ("music", &["guitar", "violin", "drum", "flute", "accordion", "metronome", "banjo"]),
    ("outdoor", &["tent", "backpack", "canteen", "compass", "bicycle", "paddle", "kayak"]),
    ("stationery", &["notebook", "fountainpen", "inkwell", "envelope", "ruler", "globe"]),
];

#[rustfmt::skip]
const LOOKS: &[&str] = &[
    "amber", "antique", "azure", "bold", "bright", "classic", "compact", "crimson", "dark", "delicate", "elegant",
    "emerald", "faded", "folding", "golden", "grand", "heavy", "indigo", "ivory", "light", "mellow", "modern",
    "narrow", "pale", "plain", "polished", "quiet", "rustic", "scarlet", "silver", "slender", "smooth", "striped",
    "sturdy", "tall", "tiny", "turquoise", "violet", "weathered", "wide",
];

#[rustfmt::skip]
const STUFFS: &[&str] = &[
    "alder", "aluminium", "ash", "bamboo", "beech", "birch", "brass", "bronze", "canvas", "cedar", "ceramic",
    "cherry", "clay", "copper", "cork", "cotton", "elm", "enamel", "felt", "glass", "granite", "hemp", "iron",
    "jute", "larch", "leather", "linen", "maple", "marble", "oak", "pewter", "pine", "porcelain", "rattan", "silk",
    "slate", "steel", "teak", "walnut", "wicker", "willow", "wool",
];

#[rustfmt::skip]
const QUALITIES: &[&str] = &[
    "adjustable", "airy", "balanced", "breathable", "carved", "comfortable", "durable", "engraved", "fireproof",
    "flexible", "foldable", "forged", "handmade", "hinged", "insulated", "lacquered", "lightweight", "magnetic",
    "modular", "oiled", "padded", "patented", "quilted", "reinforced", "repairable", "reversible", "rustproof",
    "seamless", "silent", "stackable", "stitched", "tapered", "tempered", "varnished", "washable", "waterproof",
    "woven",
];

#[rustfmt::skip]
const PLACES: &[&str] = &[
    "attic", "balcony", "bathroom", "bedroom", "boathouse", "cabin", "cellar", "courtyard", "dining", "entrance",
    "fireside", "hallway", "kitchen", "library", "nursery", "office", "orchard", "pantry", "porch", "studio",
    "terrace", "veranda", "workshop",
];
