"""Names: how they are compared, which ones give an answer away, and made-up ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from random import Random


def words(text: str) -> list[str]:
    return text.split()


SPELT = str.maketrans({"ı": "i", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae",
                       "ß": "ss", "ə": "a", "Ə": "A", "’": "'", "‘": "'", "ʼ": "'", "ʻ": "'", "`": "'",
                       "þ": "th", "ð": "d"})  # fmt: skip
# Marks of transliteration, which nobody writes in English: macron, breve, comma, dot and line below, horn, hook.
LEARNED = dict.fromkeys(map(ord, "\u0304\u0306\u0309\u0323\u0326\u0331\u031b\u0335"))
# What is a district or a building site, not a city that a sentence would call one.
NO_CITY = set(words(
    "airport area barangay barrio block borough camp cantonment centre center chak charter colony colonia "
    "commune comunidad county district division ejido estate estates fraccionamiento garden gardens hacienda "
    "heights industrial kampong kampung kecamatan khurd kalan municipality nagar neighborhood parish phase "
    "plantation province qu region residencial satellite sector settlement subdistrict suburb taluk tehsil "
    "terrace town township unidad village villages ward zone chengguanzhen xian zhen shi prefecture "
    "stadtbezirk centro bezirk quarter arrondissement poblacion mueang nia cidade est ouest nord sud sul norte "
    "okrug mikrorayon rayon banlieue oblast station junction metropolitan urban"
))  # fmt: skip


def plain(text: str) -> str:
    """The letters and digits of a name, without case, marks and blanks: "São Paulo" and "Sao-Paulo" are the same."""
    marked = unicodedata.normalize("NFKD", text.translate(SPELT)).casefold()
    return "".join(sign for sign in marked if sign.isalnum())


def english(name: str, country: str) -> str:
    """A name as English texts spell it: European accents stay, learned ones go."""
    signs = unicodedata.normalize("NFD", name.translate(str.maketrans("‘’ʼʻ`", "'''''")))
    if country in ("VN", "IN", "JP", "PK", "IR", "BD", "TH", "MM", "SA", "YE", "IQ", "EG", "AF"):
        return "".join(s for s in signs.translate(SPELT) if not unicodedata.combining(s))
    return unicodedata.normalize("NFC", signs.translate(LEARNED) if country not in ("RO", "TR") else signs)


def readable(name: str) -> bool:
    """At most three words of Latin letters that can be the name of a city."""
    words = name.split()
    return (
        len(words) <= 3
        and 3 <= len(name) <= 26
        and bool(re.fullmatch(r"[A-ZÀ-ÞĀ-Ž][A-Za-zÀ-ÿĀ-ž' -]+", name))
        and not NO_CITY & set(re.split(r"[ -]", name.casefold()))
        and not re.search(r"-(gu|si|ri|dong|eup|myeon|ku)$|'s$|^(City of|Kota|Mueang|The) ", name)
    )


def gives_away(name: str, answers: Iterable[str], letters: int = 5) -> bool:
    """Whether a name has an answer in it, or a word that begins like a word of an answer: "Tunis", "Mexicali"."""
    words = {plain(word) for word in re.split(r"[\W_]+", name)}
    for answer in answers:
        if len(plain(answer)) > 3 and plain(answer) in plain(name):
            return True
        starts = {plain(word)[:letters] for word in re.split(r"[\W_]+", answer) if len(plain(word)) >= letters}
        if any(word.startswith(start) for word in words for start in starts - SHARED):
            return True
    return False


SHARED = {"saint", "santo", "unite", "repub", "islan", "feder", "state", "south", "north", "kingd", "democ",
          "peopl", "west", "weste", "centr", "virgin"}  # fmt: skip

ONSETS = words("b b br c ch d d dr f g gr h j k k kl l l m m n n p p qu r r s s sh st t t tr v v w y z")
VOWELS = words("a a a a e e e e i i i o o o u u ai ou ia")
MIDDLES = words("b d g k l l ll lm ld m m mb n n nd ng nt p r r rd rk rv s sh st t t th v v x z")
ENDINGS = {
    "cities": "ba bad burg by cala da dor ford gan go gorod ham hara ka lar lin lo ma mar men na nor pa pur ra ren res "
    "rino ru san shan stad ta tan to ton tsk va var vik ville wa yama zhen",
    "countries": "bia dor donia genia guay lia livia mania mar nesia nia nistan que ria rica ronia sia stan swana "
    "tania tina tonga tria tu via wi zania",
    "elements": "bium cium dine dium don gium gon kium lium lon mium nium non pium rium ron sium tium tron vium xon "
    "zium",
}  # fmt: skip
BAD = re.compile("shit|fuc|cunt|gring|fag|tit|nig|dic|coc|ass|anu|slu|bast|whor|rap|kill|dea|hit|nazi|pis|sex|cum|poo")

KNOWN_FROM_FICTION = {plain(name) for name in words(
    "Wakanda Genovia Latveria Sokovia Freedonia Ruritania Zamunda Elbonia Borduria Syldavia Illyria Westeros Panem "
    "Oceania Eurasia Eastasia Narnia Gondor Rohan Mordor Asgard Atlantis Kazanistan vibranium adamantium unobtainium "
    "dilithium kryptonite mithril octarine trinium naquadah tiberium illudium carolinium coronium nebulium phlogiston "
    "tritium deuterium protium muonium positronium tribbium ionium Palmyra Qumar Krakozhia Molvania Bolivar Kundu "
    "dolium didymium columbium wolframium ilmenium pelopium norium davyum masrium florentium illinium virginium "
    "alabamine glucinium ausonium hesperium bohemium joliotium hahnium kurchatovium unnilquadium nipponium brevium"
)}  # fmt: skip


def pick(rng: Random, items: list[str]) -> str:
    """By `random()` alone, whose sequence Python promises to keep."""
    return items[int(rng.random() * len(items))]


def made_up(kind: str, count: int, real: set[str], alike: set[str]) -> list[str]:
    """`count` names, no two alike, none in `real` (plain names), none a letter from one of `alike` or around it."""
    rng = Random(f"world/{kind}/0")
    found: dict[str, str] = {}
    near = {form for name in alike for form in _shorter(name)}
    while len(found) < count:
        name = pick(rng, ONSETS) + pick(rng, VOWELS) + pick(rng, MIDDLES)
        if rng.random() < 0.7:
            name += pick(rng, VOWELS) + (pick(rng, ["l", "n", "r", "s"]) if rng.random() < 0.15 else "")
        ending = pick(rng, ENDINGS[kind].split())
        if name[-1] not in "aeiou":
            name += pick(rng, list("aeio"))
        name += ending
        usable = (
            6 <= len(name) <= 11 and not re.search(r"(..)\1|[aeiou]{3}|[^aeiouy]{4}", name) and not BAD.search(name)
        )
        if not usable or name in real or name in KNOWN_FROM_FICTION or name[:5] in found:
            continue
        if _shorter(name) & near or any(len(other) > 3 and other in name for other in alike):
            continue
        found[name[:5]] = name if kind == "elements" else name.capitalize()
    return sorted(found.values())


def _shorter(name: str) -> set[str]:
    return {name} | {name[:n] + name[n + 1 :] for n in range(len(name))}
