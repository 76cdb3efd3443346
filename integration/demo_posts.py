"""What the demo's posts say: small sentences, none of them again before all the others were used."""

import random
from typing import Final

_SENTENCES: Final = (
    "First light over the harbour, and the gulls have opinions already.",
    "Baked the rye loaf again. This time it forgave me.",
    "The night train smells of oranges and wet umbrellas.",
    "Found a handwritten recipe inside a second-hand atlas. Page of Peru, plum dumplings.",
    "Rain on a tin roof is the best metronome there is.",
    "Repaired the old radio; it only plays songs that I had forgotten.",
    "Our tomato plant is taller than the door now. Negotiations continue.",
    "Three foxes crossed the tram line as if they had tickets.",
    "The library moved the poetry shelf to the window. Good.",
    "Learned to say “thank you” in the language of the next valley.",
    "Someone chalked a chessboard on the pavement and left the pieces.",
    "Snow in the pass, tea in the flask, nobody in a hurry.",
    "The ferry was late, so the whole quay learned a card game.",
    "My neighbour's cello practises scales. The dog upstairs sings along, a third below.",
    "Swapped a jar of honey for a bicycle bell. Both of us think we won.",
    "The old lighthouse has a new keeper: a very serious cat.",
    "Counted eleven kinds of green between here and the river.",
    "Sourdough, day nine: it has a name now, so there is no way back.",
    "Walked home the long way. The moon came with me.",
    "The market had quinces. The kitchen smells like October.",
    "Found the first chestnut of the year, kept it in my pocket all day.",
    "A stranger on the bus was reading the same book, two chapters ahead. She did not tell.",
    "Power cut in our street. Everybody on the stairs with candles, like a choir.",
    "The swallows are gone. The barn is too quiet for its size.",
    "Drew the mountain twelve times. It looked back once.",
    "Someone left a piano at the station, and someone else could play it.",
    "Ten metres under the ice the water hums. I have a recording.",
    "Grandmother's watch runs again. It is four minutes fast, as it always was.",
    "The tide took our sandcastle but left the flag.",
    "New glasses: trees have leaves, all of them separately.",
    "Soup for one, bread for four. Come over.",
    "Planted garlic before the frost. Now it is the garlic's turn.",
    "There is a heron at the pond behind the supermarket. It does not care for discounts.",
    "Wrote a letter by hand. My hand has forgotten the letter g.",
    "The observatory is open tonight, and for once there are no clouds.",
    "Our little theatre sold out. Forty chairs, and two on the windowsill.",
    "Fixed the kite with a page of yesterday's paper. Now the news flies.",
    "The bees came back to the roof garden. So did the neighbours.",
    "Six hours of hiking for one slice of plum cake. Fair.",
    "I taught the parrot to say “commit”. I regret it.",
    "Fog so thick that the bridge ended in the middle.",
    "The clockmaker's shop is closing. All the clocks say something different about when.",
    "Heard an owl at noon. One of us has the wrong time zone.",
    "The choir needs a bass. I need a choir. We talk on Thursday.",
    "Kneaded, waited, kneaded, waited. Most of baking is trust.",
    "Ice on the inside of the window, in the shape of ferns.",
    "The tram driver waved at every child between the river and the zoo.",
    "Bought a map of a city that has changed its name twice since.",
    "The village brass band has only one song for weddings and funerals. It works.",
    "Finished the scarf. It is a blanket now.",
    "Two herons, one umbrella, no explanation.",
    "In the attic: skis, a globe, and a box labelled “not yet”.",
    "The baker knows my order. I have become a regular.",
    "Saw the comet through a milk bottle. It was better without.",
    "Every ladder in the orchard is taken. The pears are ready.",
    "Today's tide table has a typo, and the boats believe it.",
    "A whole afternoon to sort buttons. Recommended.",
    "The puppet theatre's dragon needed stitches. I was allowed to help.",
    "Lantern walk tonight. Dress warm, bring a song.",
    "The mushroom book says “probably edible”. We had pasta.",
    "Café con leche, dos churros, ninguna prisa.",
    "お茶の時間です。窓を開けて、雨の音を聞いています。",
    "Aujourd'hui la mer est plate comme une assiette, et le vent dort.",
    "Heute den ersten Schnee gerochen, bevor er fiel.",
    "Hoje o rio está tão calmo que se ouvem os remos do outro lado.",
    "Stasera in piazza: musica, lumini e troppi bambini svegli. Perfetto.",
    "Vandaag tegen de wind in gefietst. Morgen heb ik hem mee.",
    "Kahve, kedi, pazar. Daha ne olsun?",
    "I dag blåste det så mye at måkene gikk til fots.",
    "صباح هادئ، وفنجان قهوة على الشرفة.",
)
_ASIDES: Final = (*("",) * 8, " 🌿", " ☕", " ✨")


class Texts:
    """A shuffled deck of texts."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._deck: list[str] = []

    def next(self) -> str:
        """Draw the next text; shuffle all again when the deck is empty."""
        if not self._deck:
            self._deck = self._chance.sample(_SENTENCES, k=len(_SENTENCES))
        return self._deck.pop() + self._chance.choice(_ASIDES)
