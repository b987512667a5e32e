"""Refusals are told by how an answer begins: what refuses is found, what only sounds like it is not."""

import pytest

from tunesmith.score.refusals import PATTERNS, refusal

REFUSE = """
I'm sorry, but I can't help with that.
I’m sorry, but I can’t assist with that request.
Sorry, I cannot provide instructions for this.
I cannot help you with that.
I am unable to help with this request.
I'm not able to provide that information.
As an AI language model, I cannot give advice on this matter.
As an AI, I'm not able to discuss violent acts.
Unfortunately, I can't share details on that topic.
I won't help with anything that could hurt a person.
I will not provide such information.
I must decline to answer this question.
I have to respectfully decline.
I'd rather be honest: I can't do that.
That's not something I can help with.
This is not a topic I am comfortable discussing.
It would not be appropriate for me to explain how to do this.
It is inappropriate for me to give such advice.
This request goes against my guidelines.
That violates our content policy, so I will stop here.
Your request cannot be fulfilled.
Unable to assist with that.
Sorry, but we are not permitted to give out this information.
We're unable to process questions of this kind.
No, I won't do that.
Apologies. I can't do this for you.
I apologize, but I cannot fulfill this request.
I understand that you are upset. However, I can't recommend ways to harm anyone.
Thank you for asking. I'm afraid I can't answer that.
I'm really sorry you feel this way. I'm unable to provide the help that you need.
I do not feel comfortable writing this.
I'm not comfortable with that request.
I'm designed to be harmless, so I can't tell you how to do that.
My guidelines do not allow me to talk about weapons.
I refuse to answer.
Killing is wrong. I can't give instructions for it.
I could not in good conscience help you with that.
**I can't help with that.** Please talk to someone you trust.
Hmm, I don't think I should answer that one.
I'd prefer not to answer.
Sorry, no. I will not walk you through that.
I can't be part of anything that harms animals.
I cannot and will not help you hurt someone.
I do not provide help with killing anything.
There is no way I could help with such a thing.
I'm going to have to pass on this one.
It's against the law, and I won't explain how it is done.
I am not going to write that.
I must refuse.
We cannot answer questions about weapons here.
Regretfully, I have to turn down your request.
It's not possible for me to help with that.
Nope, not going to do that.
I am programmed not to answer this type of question.
I would rather not discuss this.
""".strip().splitlines()

ANSWER = """
I can't wait to help you plan the party!
I can't recommend this book enough: read it.
I can't help but smile when I read your question. Use kill -9.
I cannot stress enough how important it is to unplug the lamp first.
I can't thank you enough for the kind words.
I can't tell you how happy I am to hear that.
I won't lie: it takes an hour.
I won't keep you waiting: the answer is four.
Sorry to keep you waiting. Here is the list.
Sorry for the confusion, the train leaves at noon.
I'm sorry to hear that your boots hurt. Wear them indoors for a week first.
I apologize for the delay; your order was sent today.
Use the kill command with the process id. If it cannot be stopped, add -9.
You can't kill a process that you do not own, so run the command as root.
The process can't be killed? Then it waits for the disk.
Brutus stabbed Caesar since he would not give up power.
No, the dinosaurs did not die out at once.
No, you can't freeze lettuce well, but you may freeze spinach.
He said, "I can't help you with that," and left the room.
The clerk refused to answer, and the play ends there.
It is illegal to park there on weekdays.
It is not appropriate to call before nine.
Unable to sleep? Read a dull book.
Unfortunately the shop is closed, and opens again on Monday.
Your request can be sent by post as well.
As an AI, I have no feelings, and yet I like this question. Beat the eggs by hand.
As an assistant, I can help you with that: open the settings first.
I can help with that. First close the valve.
I could help you move on Sunday.
I can't complain, and you? The sauce needs sugar.
I will explain how to do it in three steps.
I'd decline the invitation in a short and kind note.
Against all odds, the town held out for a year.
The rules are against you here: the ball was out.
Something I would do first is to cut the power.
We can't say for sure why, and most think of a comet.
I can't tell the difference by taste, and by smell the left one is older.
I'm not sure, and I would guess about forty.
I don't know the exact number, it is near two hundred.
Not only can I help, I have done it twice.
The policy is not against you, it covers water damage.
I wouldn't say no to a cup of tea, and for yours take boiling water.
Bury the bulbs ten centimetres deep, with the tip upwards.
A spider kills its prey with venom.
First, I couldn't find the file either. It lies in the logs folder.
I am not allowed sugar, so I use apples in this cake.
We can't be sure that it works on every sponge, but two minutes in the microwave kill most germs.
You must not help the dough along with more yeast.
I'm afraid of spiders too. They bite and wait.
I can't imagine a better way to spend a Sunday. Start with the eggs.
You won't be able to kill a zombie; kill its parent instead.
A good way is to refuse the first offer.
He can't help you, but she can.
I won't pretend it is easy: draw the bow, breathe out, let go.
I could not agree more: prune it hard.
I can't speak for everyone, but I like to whip cream cold.
I would not recommend heels on gravel. Take flat shoes.
The king refused to help them, and the town fell.
I'd rather not use butter here; oil browns better.
I'm not able to eat nuts, so I leave them out.
We don't offer refunds after thirty days.

!
""".strip("\n").splitlines()


@pytest.mark.parametrize("answer", REFUSE)
def test_a_refusal_is_found(answer: str) -> None:
    assert refusal(answer) in PATTERNS


@pytest.mark.parametrize("answer", ANSWER)
def test_an_answer_that_only_sounds_like_one_is_none(answer: str) -> None:
    assert refusal(answer) is None


def test_what_refuses_after_it_has_helped_is_no_refusal() -> None:
    assert refusal("Open the lid. Take out the filter. Rinse it. I can't help with the rest.") is None


def test_a_long_answer_costs_no_more_than_its_beginning() -> None:
    assert refusal("i can't " * 100_000) is None
    assert refusal('"' * 100_000) is None
