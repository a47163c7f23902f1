"""A talk between a person and an adviser, as persona, arc and topic ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt
from brightrun.writers.demo.casting import category, patterns_of_persona, phrases_of_arc, questions, slots
from brightrun.writers.demo.feelings import Course, course_of_arc, course_without_arc
from brightrun.writers.demo.phrases import Beat, Section, bank
from brightrun.writers.demo.speech import Filler, Speech, assistant_turn, said_once, user_turn
from brightrun.writers.demo.variables import facts, main_statements
from brightrun.writers.demo.voice import Voice
from brightrun.writers.demo.wording import words

_ANSWERS = (
    "It ",
    "So ",
    "That ",
    "Then ",
    "Both ",
    "They ",
    "Thank",
    "Seeing ",
    "The one ",
    "You owe ",
    "We do not ",
)
_NOBODY = Section()


class Consultation:
    """Writes the turns of one conversation about a person's affairs."""

    def __init__(self, cast: Cast, prompt: Prompt, seed: str) -> None:
        self._cast = cast
        self._limits = (prompt.words_min, prompt.words_max)
        self._exchanges = prompt.turns // 2
        self._voice = Voice(seed, slots(cast), once=("concern", "concept"))
        self.course: Course = (
            course_of_arc(cast.arc, self._voice) if cast.arc else course_without_arc(self._voice)
        )
        self._edge = _edge_of(cast, self.course)
        self._calm = self._edge is bank("edges")["crisis"]
        self._topic = bank("topics").get(category(cast), bank("topics")["general"])
        self._plan = self._beats(self._exchanges - 2)
        self._asides = self._beats_left()
        self._questions = questions(cast)

    def contents(self) -> list[str]:
        """Return the messages, the user's first."""
        spoken: list[str] = []
        for exchange in range(self._exchanges):
            spoken += [self._user(exchange), self._assistant(exchange)]
        return spoken

    def _user(self, exchange: int) -> str:
        if exchange == 0:
            return self._opening()
        say = self._voice.line
        extras = [said_once(self._voice, self._say("filler"))]
        if exchange == self._exchanges - 1:
            close = say(self._edge.get("close") or self.course.end_section.get("close"))
            last = say(self._say("final_ask")) if self._voice.chance(0.7) else ""
            return user_turn(self._voice, [self._mid(0.4), close, self._thanks(last)], extras, last)
        beat = self._plan[exchange - 1]
        tell, ask = (say(lines) or say(lines, again=True) for lines in (beat.tell, beat.ask))
        return user_turn(self._voice, [self._mid(0.55), tell, self._aside_of_user()], extras, ask)

    def _opening(self) -> str:
        say, chance = self._voice.line, self._voice.chance
        intro = say(self._say("intro")) if chance(0.3 if self._calm else 0.75) else ""
        concern = say(self._say("concern")) if chance(0.45) and not self._calm else ""
        matter = main_statements(self._cast.scenario.variables)[:1]
        question = "" if self._calm else say(self._questions)
        parts = [intro, say(self.course.start_section.get("open")), *matter, concern]
        return user_turn(self._voice, parts, [said_once(self._voice, self._say("filler"))], question)

    def _assistant(self, exchange: int) -> str:
        if exchange == self._exchanges - 1 and exchange > 0:
            speech = self._farewell()
        elif exchange == 0:
            speech = self._welcome()
        else:
            speech = Speech(
                head=[self._voice.line(self._say("ack")), self._bridge()],
                body=[self._voice.say(line) for line in self._plan[exchange - 1].teach],
                tail=[self._next_question(exchange)],
            )
        return assistant_turn(self._voice, speech, self._limits, *self._fillers(exchange), self._spare())

    def _welcome(self) -> Speech:
        say = self._voice.line
        validate = self.course.start_section.get("validate")
        speech = Speech(head=[say(validate), self._strategy() if self._voice.chance(0.6) else ""])
        if self._exchanges == 1:
            speech.body = [say(self._say("step_intro")), say(self._steps())]
            speech.tail = [say(self._say("closing"))]
        elif self._exchanges == 2:
            speech.body = list(self._aside(200))
            speech.tail = [say(self._say("check"))]
        else:
            speech.body = [say(self._say("first"))] if self._voice.chance(0.6) and not self._calm else []
            speech.tail = [self._next_question(0)]
        return speech

    def _farewell(self) -> Speech:
        say = self._voice.line
        steps = self._voice.shuffled(self._steps())[:2]
        body = [say(self._say("recap")) if self._voice.chance(0.6) else "", say(self._say("step_intro"))]
        if self._calm:
            body = body[:1]
        body += [say(steps[:1]), "" if self._calm else say(self._say("step_more")), say(steps[1:])]
        return Speech(
            head=[say(self._edge.get("affirm") or self.course.end_section.get("affirm"))],
            body=body,
            tail=[say(self._say("closing"))],
        )

    def _bridge(self) -> str:
        wanted = not self._calm and self._voice.chance(0.3)
        return self._voice.line(self._say("bridge")) if wanted else ""

    def _next_question(self, exchange: int) -> str:
        if exchange < len(self._plan):
            return self._voice.say(self._plan[exchange].probe)
        return self._voice.line(self._say("check"))

    def _fillers(self, exchange: int) -> tuple[list[Filler], list[Filler]]:
        """Return what may lengthen a turn: before its matter, and after it."""
        voice = self._voice
        short, principle = said_once(voice, self._say("short")), said_once(voice, self._say("principle"))
        if self._edge is not _NOBODY:
            own = said_once(voice, self._edge.get())
            late = [self._aside, short] if exchange and not self._calm else [short]
            return [own, lambda room: [text] if (text := self._strategy(room)) else []], late
        strategy: Filler = lambda room: [text] if (text := self._strategy(room)) else []  # noqa: E731
        concept = said_once(voice, self._say("concept"))
        if exchange == self._exchanges - 1 > 0:
            more = [said_once(voice, self._steps()), said_once(voice, self._say("step_more"))]
            return [strategy, self._aside, principle, concept], more
        validate = said_once(voice, self.course.start_section.get("validate") if exchange == 0 else [])
        return [validate, strategy], [self._aside, principle, concept, short]

    def _strategy(self, room: int = 1000) -> str:
        if self._calm:
            return self._voice.line(self._edge.get(), room=room)
        return self._voice.line([line for section in self._strategies() for line in section.get()], room=room)

    def _strategies(self) -> list[Section]:
        arc, sections = self._cast.arc, bank("strategies")
        text = " ".join([arc.arc_strategy, arc.arc_key, *arc.key_principles]).lower() if arc else ""
        if self._edge is not _NOBODY:
            return [sections["calm"], sections["boundaries"]][: 2 if self.course.start_key == "anger" else 1]
        found = [s for name, s in sections.items() if s.matches(text) and name != "boundaries"]
        found += [sections["normalize"], sections["simplify"]] if len(found) < 2 else []
        return [*found, Section(lines={"say": phrases_of_arc(self._cast)})]

    def _aside(self, room: int) -> Sequence[str]:
        """Explain something the user did not ask, from an exchange that this talk has not used."""
        while self._asides and room >= 50:
            teach = self._asides.pop(0).teach
            while teach and teach[0].startswith(_ANSWERS):
                teach = teach[1:]
            said = [self._voice.line(self._say("aside"))]
            for line in teach[:4]:
                text = self._voice.line([line], room=room - sum(words(done) for done in said))
                said += [text] if text else []
            if len(said) > 2 and said[0]:
                return said
        return []

    def _aside_of_user(self) -> str:
        """Return something of the persona's own way of speaking, or a fact of the scenario."""
        chance, say = self._voice.chance, self._voice.line
        variables = self._cast.scenario.variables
        if variables and chance(0.6):
            return say([*main_statements(variables)[1:], *facts(variables)])
        if self._cast.persona and not self._calm:
            own = patterns_of_persona(self._cast)
            if own and chance(0.35):
                return say(own)
            return say(self._style()) if chance(0.45) else say(self._say("concern")) if chance(0.3) else ""
        return ""

    def _style(self) -> list[str]:
        general, persona = bank("general"), self._cast.persona
        if self.course.start_key == "anger":
            return general["style_angry"].get()
        text = (
            f"{persona.communication_style} {persona.archetype} {persona.emotional_baseline}".lower()
            if persona
            else ""
        )
        styles = [s for name, s in general.items() if name.startswith("style_") and name != "style_angry"]
        return next((s.get() for s in styles if s.matches(text)), [])

    def _mid(self, share: float) -> str:
        return self._voice.line(self.course.start_section.get("mid")) if self._voice.chance(share) else ""

    def _thanks(self, last: str) -> str:
        wanted = not last or self._voice.chance(0.5)
        return self._voice.line(self._say("thanks")) if wanted and self.course.start_key != "anger" else ""

    def _say(self, label: str) -> list[str]:
        """Return the lines for a purpose: the difficult arc's own where it has any."""
        return self._edge.get(label) or bank("general").get(label, _NOBODY).get()

    def _steps(self) -> list[str]:
        return self._edge.get("step") or self._topic.get("step") or bank("topics")["organization"].get("step")

    def _spare(self) -> list[str]:
        if self._calm:
            return [*self._edge.get(), *self._say("short")]
        lines = [line for section in self._strategies() for line in section.get()]
        return [*lines, *self._say("principle"), *self._say("short")]

    def _beats(self, count: int) -> list[Beat]:
        """Choose the exchanges of the talk: the topic's in their order, a few general ones among them."""
        if count < 1:
            return []
        if self._edge is not _NOBODY:
            own = self._edge.beats[:count]
        else:
            chosen = self._voice.shuffled(self._topic.beats)[: count if count < 4 else count - 1]
            own = [beat for beat in self._topic.beats if beat in chosen]
        common = self._voice.shuffled([] if self._calm else bank("topics")["general"].beats)
        while len(own) < count and common:
            beat = common.pop()
            if beat not in own:
                own.insert(1 + int(self._voice.share(0, len(own))), beat)
        while len(own) < count:
            own.append(self._voice.one_of(self._edge.beats or self._topic.beats))
        return own

    def _beats_left(self) -> list[Beat]:
        """Return the exchanges this talk has not used, those of its own topic first."""
        if self._edge is not _NOBODY:
            pool = self._voice.shuffled(self._edge.beats)
        else:
            general = bank("topics")["general"].beats
            pool = self._voice.shuffled(self._topic.beats) + self._voice.shuffled(general)
        return [beat for beat in pool if beat not in self._plan]


def _edge_of(cast: Cast, course: Course) -> Section:
    """Return the exchanges of a difficult arc, or none where the arc is an ordinary one."""
    arc, edges = cast.arc, bank("edges")
    if course.start_key == "despair":
        return edges["crisis"]
    if arc is None or arc.category != "edge":
        return _NOBODY
    text = f"{arc.arc_key} {arc.starting_emotion} {arc.arc_strategy}".lower()
    return next((section for section in edges.values() if section.matches(text)), _NOBODY)
