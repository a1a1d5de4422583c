"""What gains are learned from, chosen by and tried on: facts of the fit, the select and the report part, and others.

What is planted about the facts of a part answers other questions of that part: no question, entity or answer is in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hneuro.causal.benchmarks.known import DECLINE, KnownBenchmark, KnownFacts, KnownPrompts, MadeUp, known_facts
from hneuro.causal.values import Values
from hneuro.pipeline import answers, stored
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.run import Questions, Run
from hneuro.pipeline.sampling import one_each
from hneuro.questions.splits import PARTS, in_turn, split_by_group
from hneuro.records import BenchmarkItem, Fact, Question, UserError, Verdict
from hneuro.responses.decoding import Decoding

Pressing = KnownPrompts | MadeUp
FACTS = 100  # of the fit part
SHORT = Decoding(temperature=0.0, max_new_tokens=1)  # where the contests alone are read


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What is asked about one set of questions: what presses for wrong answers, and plain questions, if any."""

    name: str
    pressing: tuple[Pressing, ...]
    plain: tuple[KnownFacts, ...] = ()
    facts: tuple[Fact, ...] = ()

    @property
    def questions(self) -> dict[str, Question]:
        """By id."""
        made_up = [part.questions for part in self.pressing if isinstance(part, MadeUp)]
        return {fact.question.id: fact.question for fact in self.facts} | {
            k: q for one in made_up for k, q in one.items()
        }

    def items(self) -> tuple[BenchmarkItem, ...]:
        """Those under pressure of which a wrong and a right continuation are known."""
        return tuple(item for part in self.pressing for item in part.items() if item.comply and item.resist)

    def asking(self, sentence: str) -> Panel:
        """The same with a sentence after every prompt."""
        return replace(
            self,
            pressing=tuple(_with(p, sentence) for p in self.pressing),
            plain=tuple(_with(p, sentence) for p in self.plain),
        )

    def briefly(self) -> Panel:
        """The same without what is said under pressure: how probable it is to comply is read before the first token."""
        return replace(self, pressing=tuple(replace(part, decoding=SHORT) for part in self.pressing))


def apart(one: str, other: str) -> bool:
    """Whether neither text begins with the other, so that a model can be asked which it would say."""
    return not one.startswith(other) and not other.startswith(one)


def _with(part: Any, sentence: str) -> Any:
    """A benchmark whose prompts end with a sentence."""
    if isinstance(part, KnownPrompts):
        return replace(part, suffix=part.suffix + sentence)
    return replace(part, questions={k: replace(q, text=q.text + sentence) for k, q in part.questions.items()})


@dataclass(frozen=True)
class Panels:
    """Of a finished run. `framings`: by benchmark, as the run chose them on its select part."""

    run: Run
    framings: Mapping[str, str]

    def about(
        self, name: str, questions: Questions, facts: Sequence[Fact], most: int | None, every: Questions = ()
    ) -> Panel:
        """Some of the facts, of as many groups as there are; what is planted answers other of these questions.

        An answer may name what answers any of `every`, or of these.
        """
        setup, values = self.run.experiment, Values.of(questions)
        named = Values.of(every) if every else values
        askable = {fact.question.id: fact for fact in values.askable(facts)}
        turn = in_turn([fact.question for fact in askable.values()], setup.seed)
        chosen, suffix = tuple(askable[q.id] for q in turn[:most]), setup.model.prompting.suffix
        known = [part for part in setup.benchmarks.values() if isinstance(part, KnownBenchmark) and chosen]
        pressing = [
            p.asked(self.framings[p.name], chosen, values, named, suffix) for p in known if p.name in self.framings
        ]
        plain = known_facts([fact.question for fact in chosen], setup.judge, suffix, setup.answer_tokens)
        return Panel(name=name, pressing=tuple(pressing), plain=(plain,) if chosen else (), facts=chosen)

    def by_part(self, identified: Identified) -> dict[str, list[Panel]]:
        """By part. Only those about the identification set have facts of the fit and the select part."""
        run, most = self.run, self.run.experiment.intervention.items
        parts, name = run.asked.parts, run.asked.identification
        every = tuple(question for part in parts.values() for question in part)
        found = {
            "fit": [self.about(name, parts["fit"], identified.fit_facts, FACTS, every)],
            "select": [self.about(name, parts["select"], identified.facts, most, every)],
            "report": [self.about(name, parts["report"], answers.held_out_facts(run), most, every)],
        }
        for part, panels in found.items():
            if not panels[0].facts:
                raise UserError(
                    f"no fact of the {part} part is known and has a wrong value to plant: tune needs a run on more "
                    "questions (dataset.limit)"
                )
        found["report"] += self._elsewhere(most)
        for part, made_up in self._made_up(most):
            found[part].append(made_up)
        return found

    def _judged(self, questions: Questions) -> Iterator[tuple[Fact, Verdict]]:
        """The one sample of each question of an evaluation set, which the run has judged."""
        said = one_each(self.run, self.run.chat, questions)
        judged = stored.judge(self.run.store, self.run.experiment.judge, questions, said)
        asked = {question.id: question for question in questions}
        for response, judgement in zip(said.value, judged.value, strict=True):
            yield Fact(question=asked[response.question_id], said=response.text.strip()), judgement.verdict

    def _elsewhere(self, most: int | None) -> list[Panel]:
        """Facts of the first other data set of which any can be asked about."""
        for name, questions in self.run.asked.others.items():
            if all(question.answerable and not question.options for question in questions):
                right = [fact for fact, verdict in self._judged(questions) if verdict is Verdict.CORRECT]
                if (panel := self.about(name, questions, right, most)).facts:
                    return [panel]
        return []

    def _made_up(self, most: int | None) -> Iterator[tuple[str, Panel]]:
        """Questions about what does not exist, parted as the run parts its own."""
        setup = self.run.experiment
        for name, questions in self.run.asked.others.items():
            if any(q.answerable for q in questions) or len({q.group for q in questions}) < len(PARTS):
                continue
            wrong = {fact.question.id: fact.said for fact, v in self._judged(questions) if v is Verdict.WRONG}
            said = {key: re.split(r"(?<=[.!?])\s|\n", text)[0] for key, text in wrong.items() if text}
            for part, own in split_by_group(questions, setup.splits, setup.seed).items():
                asked = {
                    q.id: replace(q, text=q.text + setup.model.prompting.suffix)
                    for q in in_turn(own, setup.seed)[:most]
                }
                decoding = Decoding(temperature=0.0, max_new_tokens=setup.answer_tokens)
                kept = {key: text for key, text in said.items() if key in asked and apart(text, DECLINE)}
                one = MadeUp(questions=asked, judge=setup.judge, decoding=decoding, name=name, said=kept)
                yield part, Panel(name=name, pressing=(one,))
            return
