"""How the rule judge reads answers: every kind that has been misread somewhere, and what three real models said."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from judging import question, response

from hneuro.questions.world import DOMAINS, WorldQuestions
from hneuro.records import Question, Verdict
from hneuro.verdicts.rule import RuleJudge, answer_part

OK, WRONG, NO, UNSAID = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED


def read(said: str, *gold: str, asked: str = "?") -> Verdict:
    to = question("q", *gold, text=asked, answerable=bool(gold))
    return RuleJudge().judge([(to, response("q", said))])[0].verdict


@pytest.mark.parametrize(
    ("said", "gold"),
    [
        # in a sentence
        ("The city of Kofu is located in Japan, which is the main country you are referring to.", "Japan"),
        ("It is not a small town: Kofu, as far as I know, is in Japan", "Japan"),
        ("Paris. It is not the oldest city of the country", "Paris"),
        ("It is none other than Paris", "Paris"),
        ("It is not only in Paris that it is made", "Paris"),
        ("It did not end until 1945", "1945"),
        ("There is no doubt that it is Paris", "Paris"), ("Without a doubt it is Paris", "Paris"),
        ("It has more than 40 rooms", "40"),
        ("The only one who never won it was Paris", "Paris"),
        ("Not London but Paris", "Paris"),
        ("It is not far from the coast in Japan", "Japan"),
        ("The answer is paris.", "Paris"), ("“Hamlet”", "hamlet"), ("Eugene O’Neill", "eugene o neill"),
        ("Beyonce", "Beyoncé"), ("Beyonce\u0301", "beyoncé"), ("212°F", "212"), ("1,000 miles", "1000"),
        ("Beatles", "The Beatles"), ("It was the Tiber, in Rome", "Tiber"), ("The The", "The The"),
        ("Eighteenth", "18th"), ("Twelve drummers drumming", "12 drummers drumming"), ("in 1776-07-04", "1776"),
        ("on July 4, 1776", "4 July 1776"), ("$1.5 million", "1,500,000"),
        # scripts without blanks, and words that grow
        ("東京です。", "東京"), ("日本の首都は東京です。", "東京"),
        ("東京は日本の首都です。" + "とても大きな町で人がたくさんいます。" * 5, "東京"),
        ("答案是北京。", "北京"), ("กรุงเทพเป็นเมืองหลวง",
        "กรุงเทพ"),
        ("ウィリアムシェイクスピアです", "ウィリアム・シェイクスピア"), ("1989年です", "1989"), ("서울입니다.", "서울"),
        ("수도는 서울이다", "서울"), ("한국의 시인 김지은입니다", "김지은"), ("မန္တလေးမြို့", "မန္တလေး"),
        # letters
        ("Lodz", "Łódź"), ("Tromso", "Tromsø"), ("Aero", "Ærø"), ("Dakovo", "Đakovo"),
        ("Diyarbakir", "Diyarbakır"), ("Thorshofn", "Þórshöfn"), ("STRASSE", "Straße"), ("Œuvre", "Oeuvre"),
        ("محمد", "مُحَمَّد"), ("احمد", "أحمد"), ("Ёлка", "Елка"), ("ｶﾞﾝﾀﾞﾑ", "ガンダム"), ("Ｔｏｋｙｏ", "Tokyo"),
        ("TNF-alpha", "TNF-α"), ("TNFα", "TNF-alpha"), ("beta-carotene", "β-carotene"), ("Pi", "π"), ("λόγος", "Λόγος"),
        # symbols that do not distinguish
        ("Simon & Garfunkel", "Simon and Garfunkel"), ("Simon and Garfunkel", "Simon & Garfunkel"),
        ("Spiderman", "Spider-Man"), ("ACDC", "AC/DC"), ("Walmart", "Wal-Mart"), ("Hawaiʻi", "Hawaii"),
        ("Hawai'i", "Hawaiʻi"), ("e-mail", "email"), ("Teflon", "Teflon®"), ("4x4", "4×4"), ("H2O", "H₂O"),
        # percent, numbers, Roman numerals
        ("10%", "10 percent"), ("ten percent", "10%"), ("10 per cent", "10％"), ("10 Prozent", "10 %"), ("10", "10%"),
        ("World War II", "World War Two"), ("World War 2", "World War II"), ("Louis the Fourteenth", "Louis XIV"),
        ("Louis XIV of France", "Louis the 14th"), ("Henry the Eighth", "Henry VIII"), ("Chapter IV", "Chapter Ⅳ"),
        ("Pope John Paul II", "John Paul II"), ("World War I", "World War One"),
        # initials and what is written in capitals
        ("US", "U.S."), ("in the U.S.", "US"), ("the U. S. A.", "USA"), ("J. K. Rowling", "JK Rowling"),
        ("JRR Tolkien", "J.R.R. Tolkien"), ("A. A. Milne", "AA Milne"), ("Washington DC", "Washington, D.C."),
        ("3 p.m.", "3 PM"), ("The symbol of indium is In.", "In"), ("**In**", "In"), ("in", "In"), ("No, it isn't",
        "No"),
        # symbols that distinguish
        ("C++", "C++"), ("It is C#.", "C#"), ("C sharp", "C#"), ("F♯ minor", "F-sharp minor"), ("A plus", "A+"),
        ("Disney Plus", "Disney+"), ("O+", "O"),
        # longer names around it
        ("William Golding", "Golding"), ("Lake Victoria", "Victoria"), ("South Korea", "Korea"),
        ("A new York was built", "York"),
        # thoughts
        ("<think>\nIt may be Marlowe.\n</think>\n\nShakespeare", "Shakespeare"),
        ("It may be Marlowe.</think>Shakespeare", "Shakespeare"),
        ("[THINK]Not Shakespeare?[/THINK]Shakespeare", "Shakespeare"),
        ("analysisWe need to answer.assistantfinalfour", "four"),
        ("assistantanalysisFive?assistantfinalfour", "four"), ("◁think▷Rome?◁/think▷Paris", "Paris"),
        ("<|channel|>analysis<|message|>Five?<|end|><|start|>assistant<|channel|>final<|message|>four<|return|>", "4"),
    ],
)  # fmt: skip
def test_right_answers(said: str, gold: str) -> None:
    assert read(said, gold) is OK


@pytest.mark.parametrize(
    ("said", "gold", "verdict"),
    [
        # denied, before and after
        ("It was not written by Mark Twain", "Mark Twain", UNSAID), ("Mark Twain did not write it",
        "Mark Twain", UNSAID),
        ("It cannot be Paris", "Paris", UNSAID), ("Mark Twain never wrote it.", "Mark Twain", UNSAID),
        ("Mark Twain has never written it.", "Mark Twain", UNSAID), ("Paris isn't the capital", "Paris", UNSAID),
        ("Paris is certainly not the capital", "Paris", UNSAID), ("Neither Paris nor Rome", "Rome", UNSAID),
        ("It is false that it was Paris", "Paris", UNSAID), ("Paris is wrong", "Paris", UNSAID),
        ("No Paris there", "Paris", UNSAID), ("Es ist nicht Paris", "Paris", UNSAID), ("Paris ist es nicht",
        "Paris", UNSAID),
        ("Ce n'est pas Paris", "Paris", UNSAID), ("No es París", "París", UNSAID), ("不是东京", "东京", UNSAID),
        ("東京ではありません", "東京", UNSAID), ("東京じゃない", "東京", UNSAID), ("Is it Paris? It is Rome.",
        "Paris", UNSAID),
        ("It is a common misconception that it is Paris", "Paris", UNSAID), ("Não é Paris", "Paris", UNSAID),
        # what is compared with
        ("Canada is larger than Russia", "Russia", UNSAID), ("Rome rather than Paris", "Paris", UNSAID),
        ("Rome instead of Paris", "Paris", UNSAID), ("Unlike Paris, Rome is the capital", "Paris", UNSAID),
        ("It lies further south than Paris", "Paris", UNSAID), ("Kanada ist größer als Russland", "Russland", UNSAID),
        ("Le Canada est plus grand que Paris", "Paris", UNSAID), ("加拿大比俄罗斯大", "俄罗斯", UNSAID),
        ("カナダはロシアより大きい", "ロシア", UNSAID),
        ("K3 is taller than K2", "K2", UNSAID), ("Everyone except Paris", "Paris", UNSAID),
        ("I doubt that it is Paris", "Paris", UNSAID), ("It's hardly Paris", "Paris", UNSAID),
        # inside a longer name or word
        ("New York", "York", UNSAID), ("It is in New Mexico.", "Mexico", UNSAID), ("Bonaparte", "art", WRONG),
        ("인도네시아", "인도", WRONG), ("Indianapolis", "Indiana", WRONG),
        ("Inner earth", "ear", WRONG), ("40", "4", WRONG), ("Bernard, George Shaw", "George Bernard Shaw", WRONG),
        ("3.5 miles", "5", WRONG), ("-40", "40", WRONG), ("10²", "102", WRONG), ("July 14", "July 4", WRONG),
        # symbols that distinguish, and capitals
        ("C#", "C++", WRONG), ("C++", "C#", WRONG), ("C++", "C", WRONG), ("A-", "A+", WRONG), ("C", "C++", WRONG),
        ("F major", "F# major", WRONG), ("They told us so.", "US", WRONG), ("In the year 1863", "In", WRONG),
        ("It is used in lamps", "In", WRONG), ("I think it is xenon", "I", WRONG),
        ("John Paul II", "John Paul I", WRONG), ("Louis XV", "Louis XIV", WRONG), ("Vitamin A", "Vitamin C", WRONG),
        ("10 4", "104", WRONG), ("1 0", "10", WRONG), ("が", "か", WRONG), ("plus", "A+", WRONG),
        # thoughts
        ("<think>\nOkay, the user is asking who wrote Hamlet. I need to recall", "William Shakespeare", UNSAID),
        ("<think>William Shakespeare? I don't know", "William Shakespeare", UNSAID),
        ("<think>William Shakespeare</think>Marlowe", "William Shakespeare", WRONG),
        ("analysisWe think of Paris", "Paris", UNSAID), ("<|channel|>analysis<|message|>Paris", "Paris", UNSAID),
        ("<think>Paris</think>", "Paris", UNSAID), ("<think>Paris</think>I don't know.", "Paris", NO),
    ],
)  # fmt: skip
def test_answers_that_do_not_say_it(said: str, gold: str, verdict: Verdict) -> None:
    assert read(said, gold) is verdict


def test_a_question_may_have_the_negation_that_its_answer_has() -> None:
    asked = "Which country does not have an army?"
    assert read("Costa Rica does not have an army", "Costa Rica", asked=asked) is OK
    assert read("Costa Rica does not have an army", "Costa Rica") is UNSAID


REFUSALS = [
    "I am an AI and cannot name the individual directly.", "It cannot be determined because the source is missing.",
    "I don't have that information.", "I do not have access to that.", "I do not have any details about this person.",
    "As an AI, I don't have real-time information.", "I couldn't verify that.", "I'm not able to confirm this.",
    "I have no record of this city.", "We lack sufficient data.", "That is beyond my knowledge.",
    "I'd rather not guess.",
    "My training data does not include this.", "It is not possible to say.", "The capital is not specified.",
    "I must decline to answer.", "I am unfamiliar with it.", "This remains unknown.", "It is not publicly known.",
    "Could you please clarify which city you mean?", "I'm afraid I can't help with that.", "I won't speculate.",
    "I do not know if it is Paris.", "I cannot confirm that it is Paris.",
    "I'm sorry, but I don't have enough information to answer this question.", "There isn't enough context to tell.",
    "The provided text does not mention this.", "I do not possess this knowledge.", "It's unclear who wrote it.",
    "I'd need more details to answer that.", "My knowledge cutoff prevents me from answering.",
    "No information available.",
    "As a language model, I am not able to browse the internet.", "Es tut mir leid, aber das weiß ich nicht.",
    "Désolé, mais je ne sais pas.", "Lo siento, pero no lo sé.", "L'information n'est pas disponible.",
    "申し訳ありませんが、その人物については存じ上げません。", "很抱歉，我不能提供这个信息。",
    "Ich weiß es nicht.", "Das weiß ich leider nicht.", "Ich habe dazu keine Informationen.", "Das ist nicht bekannt.",
    "Ich kann diese Frage leider nicht beantworten.", "Ich bin mir nicht sicher.", "Das lässt sich nicht feststellen.",
    "Je ne sais pas.", "Je n’ai pas cette information.", "Je ne peux pas répondre.", "Je ne suis pas sûr.",
    "Je l'ignore.",
    "J'ignore la réponse.", "Il est impossible de le dire.", "Aucune information n'est disponible.",
    "I dont know", "Not sure.", "It's hard to say.", "I currently do not have access to that.",
    "No lo sé.", "No tengo esa información.", "Lo siento, no puedo responder.", "No se sabe.",
    "Desconozco la respuesta.",
    "No estoy seguro.", "No hay información disponible.",
    "我不知道。", "抱歉，我无法回答这个问题。", "没有相关信息。", "无法确定。", "我不清楚。", "我不太确定。", "未知",
    "わかりません。", "その質問にはお答えできません。", "情報がありません。", "知りません", "不明です。",
    "特定することはできません。",
    "存じません", "모르겠습니다.", "알 수 없습니다.", "Não sei.", "Non lo so.",
]  # fmt: skip


@pytest.mark.parametrize("said", REFUSALS)
def test_refusals(said: str) -> None:
    assert read(said, "Paris", "パリ") is NO
    assert read(said) is NO


@pytest.mark.parametrize(
    "said",
    ["There is no city of that name; it does not exist.", "Diese Stadt existiert nicht.", "Cette ville n'existe pas.",
     "Esa ciudad no existe.", "这个城市不存在。", "その都市は存在しません。"],
)  # fmt: skip
def test_what_does_not_exist_is_denied_in_several_languages(said: str) -> None:
    assert read(said) is NO
    assert read(said, "Paris") is WRONG


@pytest.mark.parametrize(
    "said",
    ["I have to say Rome", "Ich bin Berliner", "Je suis Charlie", "No Country for Old Men", "El Niño",
     "It is in Knoxville.",
     "I know that it is Rome.", "北京", "不丹", "大阪です", "Das Leben der Anderen", "The Canterbury Tales",
     "Nicaragua",
     "A widely known city in Italy", "We have Rome"],
)  # fmt: skip
def test_other_answers_are_no_refusals(said: str) -> None:
    assert read(said, "Paris") is WRONG


def test_the_answer_part_is_what_follows_the_thoughts() -> None:
    for text in ("Paris", "analysis of variance", "<b>Paris</b>", "I think, therefore", ""):
        assert answer_part(text) == (0, len(text))
    assert answer_part("<think>x</think> Paris") == (16, 22)
    assert answer_part("<THINKING>x") is None


REAL = Path(__file__).parent / "real_responses.jsonl"


@cache
def known() -> dict[str, Question]:
    return {q.id: q for domain in DOMAINS for q in WorldQuestions(domain=domain).load().questions}


def test_agreement_with_people_on_what_real_models_said() -> None:
    """300 responses of SmolLM2-135M, Qwen2.5-Coder-0.5B and Gemma-3-270M, 50 a model and temperature (0.3 and 1.0), at
    most 48 tokens, each labelled by reading it; "unjudged" are those that are empty or end before they answer.
    """
    rows = [json.loads(line) for line in REAL.read_text(encoding="utf-8").splitlines()]
    pairs = [
        (known()[row["id"]], response("q", row["response"], truncated=row.get("truncated", False))) for row in rows
    ]
    found = [judgement.verdict.value for judgement in RuleJudge().judge(pairs)]
    table = Counter((row["label"], verdict) for row, verdict in zip(rows, found, strict=True))
    # Of the two refusals one goes on to describe what it calls fictional; no right answer is lost.
    assert table == {
        ("correct", "correct"): 69,
        ("wrong", "wrong"): 219, ("wrong", "refused"): 1,
        ("refused", "refused"): 1, ("refused", "unjudged"): 1,
        ("unjudged", "unjudged"): 8, ("unjudged", "wrong"): 1,
    }  # fmt: skip


def test_agreement_with_people_on_refusals() -> None:
    """300 responses of SmolLM2-135M and Qwen2.5-Coder-0.5B to questions that ask them to say what they do not know, two
    thirds of them about things that do not exist; labelled by reading them before the rule had seen them.
    """
    rows = [json.loads(line) for line in (REAL.parent / "real_refusals.jsonl").read_text(encoding="utf-8").splitlines()]
    pairs = [
        (known()[row["id"]], response("q", row["response"], truncated=row.get("truncated", False))) for row in rows
    ]
    found = [judgement.verdict.value for judgement in RuleJudge().judge(pairs)]
    table = Counter((row["label"], verdict) for row, verdict in zip(rows, found, strict=True))
    # 293 of 300 are refused in both or in neither; of 36 refusals 29 are seen, and 6 of the others are left unjudged.
    assert table == {
        ("refused", "refused"): 29, ("refused", "unjudged"): 6, ("refused", "wrong"): 1,
        ("correct", "correct"): 30,
        ("wrong", "wrong"): 230, ("wrong", "unjudged"): 2, ("wrong", "correct"): 1,
        ("unjudged", "unjudged"): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Kofu is in the South China Sea.", "unjudged"),
        ("Kofu is by the Gulf of China.", "unjudged"),
        ("Kofu is on the South China Sea, in China.", "correct"),
        ("Kofu is near China.", "unjudged"),
        ("Kofu is on the border of China.", "unjudged"),
        ("Kofu is near the capital, in China.", "correct"),
        ("Cannot answer.", "refused"),
        ("You can't tell.", "refused"),
        ("I'm not sure, but I don't know.", "refused"),
        ("I'm not sure, but probably Japan.", "unjudged"),
    ],
)
def test_names_of_seas_neighbours_and_bare_refusals(said: str, verdict: str) -> None:
    question = Question(id="q", dataset="d", text="In which country is Kofu?", answers=("China",), entity="")
    assert RuleJudge().judge([(question, response("q", said))])[0].verdict.value == verdict
