"""A dialogue in which an assistant carries out a request, from a scenario's free variables."""

from __future__ import annotations

from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt
from brightrun.writers.demo.feelings import Course, course_without_arc
from brightrun.writers.demo.phrases import Beat, Section, bank
from brightrun.writers.demo.speech import Speech, assistant_turn, said_once, user_turn
from brightrun.writers.demo.variables import ends_happily, facts, main_statements, mood, offer_of_role
from brightrun.writers.demo.voice import Voice
from brightrun.writers.demo.wording import second_person, words

_ECHOED = {"I", "I'm", "My", "We", "It", "The", "There", "Today", "Right", "Now", "For", "On", "At", "In"}


class Errand:
    """Writes the turns of one request and how it was met."""

    def __init__(self, cast: Cast, prompt: Prompt, seed: str) -> None:
        variables = cast.scenario.variables
        self._limits = (prompt.words_min, prompt.words_max)
        self._exchanges = prompt.turns // 2
        self._voice = Voice(seed, {"topic": ["all of this"]})
        self._happy = ends_happily(variables)
        self.course: Course = course_without_arc(self._voice, mood=mood(variables), happy=self._happy)
        self._facts = main_statements(variables) + facts(variables)
        self._told: list[str] = []
        self._role = offer_of_role(variables)
        self._kind = _kind(" ".join(variables.values()).lower())
        self._plan = self._beats(self._exchanges - 2)

    def contents(self) -> list[str]:
        """Return the messages, the user's first."""
        spoken: list[str] = []
        for exchange in range(self._exchanges):
            spoken += [self._user(exchange), self._assistant(exchange)]
        return spoken

    def _user(self, exchange: int) -> str:
        say = self._voice.line
        extras = [
            said_once(self._voice, _joins("tempo")),
            said_once(self._voice, bank("general")["filler"].get()),
        ]
        if exchange == 0:
            mood_line = (
                say(self.course.start_section.get("open")) if self.course.start_key != "neutral" else ""
            )
            return user_turn(self._voice, [say(_joins("hello")), mood_line, *self._tell(30)], extras)
        if exchange == self._exchanges - 1:
            thanks = [say(_joins("thanks"))] if self._happy else []
            extras = [said_once(self._voice, _joins("glad" if self._happy else "sorry"))] * 2
            return user_turn(self._voice, [say(self.course.end_section.get("close")), *thanks], extras)
        beat = self._plan[exchange - 1]
        tempo = say(_joins("tempo")) if self._voice.chance(0.4) else ""
        tell, ask = (say(lines) or say(lines, again=True) for lines in (beat.tell, beat.ask))
        return user_turn(self._voice, [tell, *self._tell(24), tempo], extras, ask)

    def _tell(self, room: int) -> list[str]:
        """Take the next facts of the scenario, as many as fit into one turn, at least one."""
        told: list[str] = []
        while self._facts and (not told or sum(map(words, told)) + words(self._facts[0]) <= room):
            told.append(self._facts.pop(0))
        self._told = told
        return told

    def _assistant(self, exchange: int) -> str:
        voice, say = self._voice, self._voice.line
        speech = Speech()
        last, outcome = self._exchanges - 1, max(0, self._exchanges - 2)
        if exchange == 0:
            speech.head = [say(_joins("greet")), self._role if voice.chance(0.5) else "", self._echo("echo")]
        elif exchange < last:
            speech.head = [say(_joins("ack")), self._echo("noted")]
            speech.body = [voice.say(line) for line in self._plan[exchange - 1].teach]
        else:
            speech.head = [say(self.course.end_section.get("affirm"))]
            speech.body = [] if self._happy else [say(self._kind.get("offer"))]
        if exchange == outcome:
            speech.tail = [say(self._kind.get("done" if self._happy else "failed"))]
        elif exchange < outcome:
            speech.tail = [voice.say(self._plan[exchange].probe)]
        if exchange == last:
            speech.tail.append(say(_joins("bye")))
        label, bank_of = ("after", bank("tasks")["joins"]) if exchange == last else ("more", self._kind)
        own, common = said_once(voice, bank_of.get(label)), said_once(voice, _joins("more"))
        late = [own, own, common, said_once(voice, _joins("wait"))] if exchange < last else [own]
        spare = bank_of.get(label) + _joins("more") + _joins("wait")
        return assistant_turn(voice, speech, self._limits, [], late, spare)

    def _echo(self, label: str) -> str:
        """Repeat to the user what they have just told, so that they can see it was understood."""
        told = [text for text in self._told if text.endswith(".") and text.split()[0] in _ECHOED]
        if not told or words(told[-1]) < 5:
            return ""
        back = second_person(max(told, key=words))
        back = back[0].lower() + back[1:]
        return self._voice.line([line.replace("{echo}", back) for line in _joins(label)])

    def _beats(self, count: int) -> list[Beat]:
        """Choose as many exchanges as the talk has room for, in the order in which they are written."""
        own, common = self._kind.beats, bank("tasks")["request"].beats
        if 0 < count < len(own):
            chosen = self._voice.shuffled(own[: count + 1])[:count]
            return [beat for beat in own if beat in chosen]
        pool = own + [beat for beat in self._voice.shuffled(common) if beat not in own]
        while len(pool) < count:
            pool.append(self._voice.one_of(own))
        return pool[: max(count, 0)]


def _joins(label: str) -> list[str]:
    return bank("tasks")["joins"].get(label)


def _kind(text: str) -> Section:
    """Return the exchanges whose words occur most often in the scenario."""
    kinds = bank("tasks")
    counts = {
        name: sum(text.count(w) for line in s.get("words") for w in line.split()) for name, s in kinds.items()
    }
    best = max(counts, key=lambda name: counts[name])
    return kinds[best if counts[best] else "request"]
