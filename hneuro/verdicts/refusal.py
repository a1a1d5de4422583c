"""Does a response refuse to answer, or say that what it was asked about does not exist?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["refuses", "corrects"]

APOSTROPHES = re.compile(r"[’‘ʼ`´]")
OTHERS = re.compile(r"[^\w']+")
FIRST = 30  # words of an answer, in which it declines if it does
DECLINES = re.compile(
    r"\bi (can't|cannot|can not|won't|will not|am unable to|am not able to|must decline to|do not|don't) "
    r"(\w+ )?(help|assist|provide|do that|comply|discuss|share|answer|give|support)\b"
    r"|\bagainst (my|the) (\w+ )?(policy|policies|guidelines|principles|programming)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`refuses`: gives no answer; `corrects`: denies what the question takes for granted."""

    kind: Kind
    words: str  # the ones that say so
    goes_on: bool  # "I am not sure, but it may be Paris"


@dataclass(frozen=True, kw_only=True)
class RefusalDetector:
    """Regular expressions over the response in lower case, with straight apostrophes and no other punctuation.

    `refusing`: no answer is given. `correcting`: there is no such thing. `going_on`: whatever follows such words in a
    response that refuses is an answer after all. (The published code: "don't know", "cannot", "not provided",
    "no information", as parts of words.)
    """

    refusing: tuple[str, ...] = (
        r"\b(i|we)( am| was|'m|'d)? (\w+ ){0,6}?(do not|don't|don t|did not|didn't|cannot|can't|can t|can not|couldn't|"
        r"could not|won't|will not|unable to|not able to|decline to|prefer not to|rather not) "
        r"(\w+ly )?(know|answer|say|tell|find|identify|determine|provide|verify|confirm|recall|access|name|give|help|"
        r"assist|share|disclose|reveal|locate|remember|recogni[sz]e|see|comment|speculate|guess|discuss|comply)\b",
        r"\b(i|we) ((do not|don't|don t|did not|didn't) (\w+ ){0,2}?(have|possess)|have no|lack|(would |will )?"
        r"need (more|additional|further))\b(?! to\b)|\b(i|we)'d need (more|additional|further)\b",
        r"\b(i'm|i am|we are|we're) (\w+ly )?(not (\w+ly )?(sure|certain|aware|familiar|confident|allowed|permitted)|"
        r"unsure|uncertain|unable|unaware|unfamiliar)\b",
        r"\b(cannot|can't|can not|couldn't|could not) be (\w+ly )?(determined|identified|verified|confirmed|"
        r"established|known|answered|ascertained|named|derived|inferred|provided)\b",
        r"\b(impossible|not possible) (for me )?to (\w+ly )?(determine|say|tell|know|identify|answer|name|verify|"
        r"confirm)\b",
        r"\b(no|not have|don't have|without|lack|lacks|insufficient|(not|isn't|aren't) enough) (any |enough |reliable |"
        r"specific |such |verifiable |public |further |available |sufficient )*(information|data|knowledge|"
        r"context|details|records?|idea|clue)\b",
        r"\b(not|isn't|wasn't) (\w+ly )?(provided|specified|mentioned|available|known to me|disclosed|documented)\b",
        r"\b(text|context|passage|article|source|document|question)s? (does not|doesn't|do not|don't) (\w+ )?(mention|"
        r"specify|provide|say|state|contain|include|give)\b",
        r"\b(it is|it's|it remains) (unclear|not clear|unknown|uncertain) (who|what|where|when|which|whether|how|if)\b",
        r"\bnot (\w+ly known|in my (\w+ )?(knowledge|data|database))\b",
        r"\b(beyond|outside)( of)? my (\w+ )?(knowledge|scope|training|capabilities|expertise)\b",
        r"\bmy (training data|training|knowledge|data|sources) (does not|doesn't|do not|don't) \w+\b",
        r"\b(it|that|this|answer) (is|was|remains) (not known|unknown)\b|\bnobody knows\b|\bunable to\b"
        r"|\b(i am|i'm) not able to\b|\bmy knowledge cut ?off\b",
        r"^(\w+ ){0,4}?(please|could you|can you) (\w+ )?(provide|clarify|specify)\b",
        r"^(sorry )?(the )?(answer|it)? ?(is )?(unknown|not known|uncertain|unclear|none known|n a)$",
        r"\b(ich|wir) (\w+ ){0,3}?(weiss|kenne|habe|haben|kann|können|konnte|darf|bin) (\w+ ){0,6}?"
        r"(nicht|kein\w*|nichts)\b"
        r"|\b(weiss|kenne|habe|kann|darf|bin) (ich|wir) (\w+ ){0,6}?(nicht|kein\w*)\b"
        r"|\b(ist|sind|war) (\w+ ){0,2}?(nicht bekannt|unbekannt)\b|^unbekannt$"
        r"|\b(lässt|lasst|laesst) sich (\w+ ){0,3}?nicht\b|\bkeine (\w+ )?(informationen|angaben|daten|ahnung)\b",
        r"\bje (ne |n')(\w+ |\w'){0,2}?(sais|peux|puis|connais|suis|ai|dispose|trouve|pourrais|parviens)\b"
        r"|\b(j'|je l')ignore\b"
        r"|\bje suis (incapable|dans l'incapacité)\b|\baucune (information|donnée|idée)\b|\bpas d'informations?\b"
        r"|\b(est|reste|était) (inconnue?|impossible (de|à) \w+)\b|\bn'est pas (connue?|précisée?|disponible)\b"
        r"|^inconnue?$",
        r"\bno (lo |la |le |te |me )*(sé|puedo|podemos|conozco|tengo|tenemos|dispongo|encuentro|estoy|"
        r"recuerdo|soy capaz)\b"
        r"|\bdesconozco\b|\b(es|era) desconocid[oa]\b|^desconocid[oa]$|\b(no hay|sin) (\w+ )?información\b"
        r"|\bno se (sabe|conoce|dispone|puede (determinar|saber|decir|identificar|responder))\b",
        r"\bnão (sei|posso|tenho|conheço|consigo)\b|\bnon (lo |la )?(so|posso|conosco|ho|sono in grado|"
        r"sono sicur[oa])\b",
        r"(不|无法|無法|没法|未能|难以|難以)(太|能|是很)?(知道|清楚|确定|確定|了解|瞭解|回答|告诉|告訴|提供|确认|"
        r"確認|判断|判斷|查到|识别|識別|找到)"
        r"|(没有|沒有|缺乏|暂无|暫無)\w{0,6}?(信息|資訊|资料|資料|数据|數據|记录|記錄)|^(答案|这)?是?未知的?$",
        r"(わか|分か|判)(りません|らない|りかね)|(知り|存じ|存じ上げ)(ません|ない)|(知|し)らない|不明(です|$)"
        r"|(答え|回答|特定|確認|判断|提供|お伝え|断定)(は|を|が|する|こと|に){0,4}(でき|いたしかね|致しかね)(ません|ない|ます)"
        r"|(情報|データ|記録|知識)(は|が|を|も){0,2}(ありません|ない|持ってい(ません|ない)|ございません|見つかりません)",
        r"모르겠|모릅니다|몰라요|알 수 없|알지 못|(확인|답변)(할|해 드릴|드릴) 수 없|정보(가|는) 없",
    )
    correcting: tuple[str, ...] = (
        r"\bthere (is|was|are|were) (no|not any) (such|known|real|record|evidence|person|place|drug|animal|plant)\b",
        r"\b(does not|doesn't|do not|don't|did not|didn't|never) (actually |really )?exist(ed)?\b",
        r"\b(no such|non existent|nonexistent|made up|fabricated|imaginary|invented name)\b",
        r"\b(is|was|are|were|be|seems|appears) (\w+ )?(a |an )?(\w+ )?(fictional|fictitious|hypothetical|hoax)\b",
        r"\b(is|are|was|were) not (a |an )?(\w+ )?(real|actual|known|recognized|recognised|established)\b",
        r"\b(isn't|aren't|wasn't|weren't) (a |an )?(\w+ )?(real|actual|known|recognized|recognised|established)\b",
        r"\b(could not|couldn't|cannot|can't|did not|didn't) find\b",
        r"\b(false|incorrect|mistaken) premise\b",
        r"\b(existiert|existieren|gibt es) (\w+ )?nicht\b|\b(es gibt|gibt es) kein\w*\b|\bn'existe(nt)? pas\b"
        r"|\bno existen?\b"
        r"|不存在|(存在|実在)(し|は|して)*(ません|ない|いません|いない)|존재하지 않",
    )
    going_on: tuple[str, ...] = (
        r"(?<!sorry )(?<!apologize )(?<!apologise )(?<!apologies )\b(but|however|although|though|nevertheless)\b",
        r"\b(my|best|educated) guess\b",
        r"\b(probably|possibly|perhaps|maybe|most likely)\b",
        r"\bi (think|believe|suspect|guess)\b",
        r"(?<!leid )(?<!entschuldigung )(?<!désolé )(?<!désolée )(?<!siento )(?<!perdón )\b(aber|mais|pero)\b",
        r"\b(jedoch|vielleicht|wahrscheinlich|vermutlich|cependant|peut être|aunque|quizás?|"
        r"probablemente)\b|但是|不过|不過|可能是|しかし|おそらく|かもしれ|아마",
    )

    def __post_init__(self) -> None:
        for name in ("refusing", "correcting", "going_on"):
            for pattern in getattr(self, name):
                try:
                    re.compile(pattern)
                except re.error as fault:
                    raise ValueError(f"{name}: {pattern!r} is no regular expression ({fault})") from fault

    def find(self, response: str) -> Refusal | None:
        """A refusal before a correction where it is both."""
        text = plain(response)
        kinds: tuple[tuple[Kind, Sequence[str]], ...] = (("refuses", self.refusing), ("corrects", self.correcting))
        for kind, patterns in kinds:
            if said := _first(patterns, text):
                goes_on = _first(self.going_on, text[: said.start()] + text[said.end() :]) is not None
                return Refusal(kind=kind, words=said[0].strip(), goes_on=goes_on)
        return None


def declines(text: str) -> bool:
    """Whether its first words say, as an assistant does of itself, that it will not do what it was asked."""
    return DECLINES.search(opening(text)) is not None


def opening(text: str) -> str:
    return " ".join(plain(text).split()[:FIRST])


def plain(text: str) -> str:
    """ "I don’t know!" -> "i don't know"."""
    text = unicodedata.normalize("NFC", text)
    return OTHERS.sub(" ", APOSTROPHES.sub("'", text)).casefold().strip()


def _first(patterns: Sequence[str], text: str) -> re.Match[str] | None:
    found = [match for pattern in patterns if (match := re.search(pattern, text))]
    return min(found, key=lambda match: match.start(), default=None)
