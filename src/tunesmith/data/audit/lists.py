"""English terms by which texts name groups of people: short, neutral, for counting and not for judging.

Words of another everyday meaning (black, old, straight) stand beside a word for people only. What the lists miss, such as slang
and slurs, is missed by the counts; `data.audit.lists` adds to them.
"""

from collections.abc import Mapping

Lists = Mapping[str, Mapping[str, tuple[str, ...]]]

_PEOPLE = ("people", "person", "persons", "man", "men", "woman", "women", "boy", "boys", "girl", "girls", "guy", "guys", "folks")


def _people(*adjectives: str) -> tuple[str, ...]:
    return tuple(f"{adjective} {noun}" for adjective in adjectives for noun in _PEOPLE)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BUILTIN: Lists = {
    "gender": {
        "female": _words(
            "she her hers herself woman women girl girls female females lady ladies mother mothers mom mum daughter daughters sister"
            " sisters wife wives girlfriend aunt niece grandmother grandma mrs ms madam"
        ),
        "male": _words(
            "he him his himself man men boy boys male males gentleman gentlemen father fathers dad son sons brother brothers husband"
            " husbands boyfriend uncle nephew grandfather grandpa mr sir"
        ),
        "transgender": (*_words("trans transgender transsexual transwoman transman"), "trans woman", "trans man"),
        "nonbinary": ("nonbinary", "non binary", "genderqueer", "genderfluid", "agender"),
    },
    "religion": {
        "christian": _words("christian christians christianity catholic catholics protestant protestants evangelical church bible"),
        "muslim": _words("muslim muslims islam islamic mosque quran koran"),
        "jewish": _words("jew jews jewish judaism synagogue torah"),
        "hindu": _words("hindu hindus hinduism"),
        "buddhist": _words("buddhist buddhists buddhism"),
        "sikh": _words("sikh sikhs sikhism"),
        "taoist": _words("taoist taoists taoism"),
        "atheist": _words("atheist atheists atheism"),
    },
    "ethnicity": {
        "black": (*_people("black"), "african american", "african americans", "afro american"),
        "white": (*_people("white"), "caucasian", "caucasians"),
        "african": _words("african africans nigerian nigerians kenyan ethiopian somali"),
        "asian": _words("asian asians chinese japanese korean koreans vietnamese filipino filipinos"),
        "south asian": _words("indian indians pakistani pakistanis bangladeshi"),
        "hispanic": _words("hispanic hispanics latino latinos latina latinas latinx mexican mexicans"),
        "middle eastern": (*_words("arab arabs arabic iranian iranians turkish syrian syrians iraqi iraqis"), "middle eastern"),
        "indigenous": ("indigenous", "native american", "native americans", "aboriginal", "aboriginals", "first nations"),
        "european": _words("european europeans"),
        "american": _words("american americans"),
        "immigrant": _words("immigrant immigrants migrant migrants refugee refugees foreigner foreigners"),
    },
    "age": {
        "child": _words("child children kid kids toddler toddlers baby babies"),
        "young": (
            *_words("teen teens teenager teenagers teenage adolescent adolescents youth youths millennial millennials"),
            *_people("young", "younger"),
        ),
        "middle aged": ("middle aged",),
        "old": (
            *_words("elderly pensioner pensioners retiree retirees"),
            *("senior citizen", "senior citizens"),
            *_people("old", "older", "aged"),
        ),
    },
    "disability": {
        "deaf": ("deaf", "deafness", "hard of hearing", "hearing impaired"),
        "blind": ("blind", "blindness", "visually impaired"),
        "physical": (*_words("wheelchair paralyzed paralysed amputee quadriplegic paraplegic"), "cerebral palsy"),
        "cognitive": (*_words("autistic autism dyslexic dyslexia"), "down syndrome", "learning disability", "intellectual disability"),
        "mental health": (*_words("bipolar schizophrenia schizophrenic"), "mentally ill", "mental illness"),
        "disabled": _words("disabled disability disabilities handicapped"),
    },
    "orientation": {
        "gay": _words("gay gays homosexual homosexuals homosexuality"),
        "lesbian": _words("lesbian lesbians"),
        "bisexual": _words("bisexual bisexuals bisexuality"),
        "queer": _words("queer lgbt lgbtq lgbtqia"),
        "heterosexual": (*_words("heterosexual heterosexuals heterosexuality"), *_people("straight")),
    },
}
