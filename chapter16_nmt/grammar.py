"""English sentences and their Chinese translations from a grammar of this project.

The grammar has tenses, questions, negation, measure words, subordinate clauses and the word order
of both languages: time and place stand before the verb in Chinese. Each sentence has one
translation, so that a translation is right or wrong.
"""

from collections.abc import Sequence

import numpy as np

# People: English, Chinese, third person or plural.
PEOPLE = {
    "the teacher": "老师", "the doctor": "医生", "the farmer": "农民", "the driver": "司机",
    "the student": "学生", "the singer": "歌手", "the writer": "作家", "the nurse": "护士",
    "the cook": "厨师", "the painter": "画家", "the old man": "老人", "the child": "孩子",
    "my father": "我的父亲", "my mother": "我的母亲", "my sister": "我的姐姐",
    "my brother": "我的哥哥", "my friend": "我的朋友", "our neighbour": "我们的邻居",
    "his uncle": "他的叔叔", "her aunt": "她的阿姨", "he": "他", "she": "她",
}
MANY = {"the teachers": "老师们", "the children": "孩子们", "the students": "学生们",
        "my parents": "我的父母", "our friends": "我们的朋友们", "they": "他们", "we": "我们",
        "I": "我", "you": "你"}
# Things: English singular, plural, Chinese, measure word.
THINGS = [
    ("book", "books", "书", "本"), ("letter", "letters", "信", "封"),
    ("newspaper", "newspapers", "报纸", "份"), ("poem", "poems", "诗", "首"),
    ("story", "stories", "故事", "个"), ("song", "songs", "歌", "首"),
    ("picture", "pictures", "画", "幅"), ("map", "maps", "地图", "张"),
    ("photograph", "photographs", "照片", "张"), ("film", "films", "电影", "部"),
    ("apple", "apples", "苹果", "个"), ("orange", "oranges", "橙子", "个"),
    ("cake", "cakes", "蛋糕", "块"), ("fish", "fish", "鱼", "条"), ("egg", "eggs", "鸡蛋", "个"),
    ("horse", "horses", "马", "匹"), ("dog", "dogs", "狗", "只"), ("cat", "cats", "猫", "只"),
    ("bird", "birds", "鸟", "只"), ("cow", "cows", "牛", "头"),
    ("car", "cars", "车", "辆"), ("bicycle", "bicycles", "自行车", "辆"),
    ("boat", "boats", "船", "条"), ("clock", "clocks", "钟", "个"), ("lamp", "lamps", "灯", "盏"),
    ("chair", "chairs", "椅子", "把"), ("table", "tables", "桌子", "张"),
    ("house", "houses", "房子", "座"), ("umbrella", "umbrellas", "伞", "把"),
    ("coat", "coats", "大衣", "件"), ("hat", "hats", "帽子", "顶"), ("key", "keys", "钥匙", "把"),
    ("flower", "flowers", "花", "朵"), ("tree", "trees", "树", "棵"),
    ("computer", "computers", "电脑", "台"), ("camera", "cameras", "相机", "台"),
]
TEXT, SONG, SEEN, FOOD = range(0, 5), (3, 5), (6, 7, 8, 9), range(10, 15)
ANIMAL, OBJECT, ALL = range(15, 20), range(20, 36), range(36)
# Verbs: base, third person, past, -ing, Chinese, the things they take.
VERBS = [
    ("translate", "translates", "translated", "translating", "翻译", TEXT),
    ("write", "writes", "wrote", "writing", "写", TEXT),
    ("sing", "sings", "sang", "singing", "唱", SONG),
    ("see", "sees", "saw", "seeing", "看见", ALL),
    ("paint", "paints", "painted", "painting", "画", (*ANIMAL, *OBJECT)),
    ("eat", "eats", "ate", "eating", "吃", FOOD),
    ("buy", "buys", "bought", "buying", "买", ALL),
    ("sell", "sells", "sold", "selling", "卖", ALL),
    ("find", "finds", "found", "finding", "找到", ALL),
    ("lose", "loses", "lost", "losing", "丢失", (*ANIMAL, *OBJECT)),
    ("bring", "brings", "brought", "bringing", "带来", ALL),
    ("repair", "repairs", "repaired", "repairing", "修理", range(20, 28)),
    ("wash", "washes", "washed", "washing", "洗", (*FOOD, *ANIMAL, 20, 21, 29, 30)),
    ("feed", "feeds", "fed", "feeding", "喂", ANIMAL),
    ("draw", "draws", "drew", "drawing", "描绘", (7, *ANIMAL, *OBJECT)),
    ("need", "needs", "needed", "needing", "需要", ALL),
    ("like", "likes", "liked", "liking", "喜欢", ALL),
    ("forget", "forgets", "forgot", "forgetting", "忘记", (*TEXT, *SEEN, *OBJECT)),
]
# Verbs of a state have no progressive form and no 了. Verbs of a result, such as 找到, tell what
# has happened or will happen.
STATES, RESULTS = (15, 16), (3, 8, 9, 10, 17)
ADJECTIVES = {"red": "红色的", "blue": "蓝色的", "white": "白色的", "black": "黑色的",
              "green": "绿色的", "big": "大的", "small": "小的", "new": "新的",
              "beautiful": "漂亮的", "expensive": "昂贵的", "cheap": "便宜的", "heavy": "重的",
              "strange": "奇怪的", "famous": "有名的"}
PREDICATES = {"tired": "很累", "happy": "很高兴", "sad": "很难过", "ill": "生病了", "busy": "很忙",
              "angry": "很生气", "hungry": "很饿", "late": "迟到了", "alone": "很孤单",
              "young": "很年轻"}
PLACES = {"in the school": "在学校里", "in the garden": "在花园里", "at the market": "在市场上",
          "in the kitchen": "在厨房里", "in the city": "在城里", "in the village": "在村子里",
          "at the station": "在车站", "on the street": "在街上", "by the river": "在河边",
          "in the park": "在公园里", "at home": "在家里", "in the library": "在图书馆里",
          "behind the house": "在房子后面", "near the bridge": "在桥附近",
          "on the mountain": "在山上"}
NOW = {"today": "今天", "every day": "每天", "in the morning": "早上", "in the evening": "晚上",
       "often": "经常", "on Sundays": "星期天", "in summer": "夏天", "in winter": "冬天"}
PAST = {"yesterday": "昨天", "last week": "上个星期", "last year": "去年",
        "this morning": "今天早上", "two days ago": "两天前", "last night": "昨晚",
        "on Monday": "星期一"}
FUTURE = {"tomorrow": "明天", "next week": "下个星期", "next year": "明年", "soon": "很快",
          "tonight": "今晚", "in two days": "两天后"}
NUMBERS = {"two": "两", "three": "三", "four": "四", "five": "五", "seven": "七", "ten": "十"}
JOINED = {"because": ("因为", "所以"), "when": ("当", "的时候"), "although": ("虽然", "但是"),
          "if": ("如果", "")}

Pair = tuple[str, str]


def pick(rng: np.random.Generator, table: dict[str, str]) -> Pair:
    """Draws an entry of a table."""
    return list(table.items())[rng.integers(len(table))]


def subject(rng: np.random.Generator) -> tuple[Pair, bool]:
    """Draws who acts, and whether the verb takes the form of the third person singular."""
    single = bool(rng.random() < 0.6)
    return pick(rng, PEOPLE if single else MANY), single


def thing(rng: np.random.Generator, choices: Sequence[int]) -> Pair:
    """Draws a noun phrase: article or number, adjective, noun."""
    one, several, chinese, measure = THINGS[choices[rng.integers(len(choices))]]
    english, colour = "", ""
    if rng.random() < 0.4:
        english, colour = pick(rng, ADJECTIVES)
    kind = rng.random()
    if kind < 0.45:  # a, an
        words = f"{english} {one}".strip()
        article = "an" if words[0] in "aeiou" else "a"
        return f"{article} {words}", f"一{measure}{colour}{chinese}"
    if kind < 0.7:
        number, zh = pick(rng, NUMBERS)
        return f"{number} {english} {several}".replace("  ", " "), f"{zh}{measure}{colour}{chinese}"
    if kind < 0.85:
        return f"this {english} {one}".replace("  ", " "), f"这{measure}{colour}{chinese}"
    return f"the {english} {one}".replace("  ", " "), f"那{measure}{colour}{chinese}"


def clause(rng: np.random.Generator, question: bool = False) -> Pair:
    """Draws a clause without its full stop.

    Args:
        rng: random numbers.
        question: whether it asks for yes or no.
    """
    (who, who_zh), single = subject(rng)
    number = int(rng.integers(len(VERBS)))
    base, third, past, progressive, verb_zh, takes = VERBS[number]
    (what, what_zh), not_zh = thing(rng, takes), ""
    place, place_zh = pick(rng, PLACES) if rng.random() < 0.4 else ("", "")
    negative = not question and rng.random() < 0.25
    tenses = ("past", "future") if number in RESULTS else ("past", "future", "now", "progressive")
    tense = tenses[rng.integers(3 if number in STATES else len(tenses))]
    times = {"now": NOW, "past": PAST, "future": FUTURE}.get(tense)
    when, when_zh = pick(rng, times) if times and rng.random() < 0.6 else ("", "")
    be = "am" if who == "I" else "is" if single else "are"
    match tense:
        case "now":
            auxiliary, form = ("does" if single else "do"), third if single else base
            before, after, not_zh = "", "", "不"
        case "past":
            auxiliary, form, before, after, not_zh = "did", past, "", "了", "没有"
            if number in STATES:
                after, not_zh = "", "不"
        case "future":
            auxiliary, form, before, after, not_zh = "will", f"will {base}", "会", "", "不会"
        case _:
            auxiliary, form, before, after, not_zh = be, f"{be} {progressive}", "正在", "", "没有在"
    main = progressive if tense == "progressive" else base
    if question:
        english = f"{auxiliary} {who} {main}"
    else:
        english = f"{who} {auxiliary} not {main}" if negative else f"{who} {form}"
    if negative:
        before, after = not_zh, ""
    # English: who does what, where, when. Chinese: who, when, where does what.
    english = " ".join(filter(None, [english, what, place, when]))
    chinese = f"{who_zh}{when_zh}{place_zh}{before}{verb_zh}{after}{what_zh}"
    if tense == "progressive" and place:  # 正 stands before the place, which begins with 在
        adverb = "没有" if negative else "正"
        chinese = f"{who_zh}{adverb}{place_zh}{verb_zh}{what_zh}"
    return english, chinese


def state(rng: np.random.Generator) -> Pair:
    """Draws a clause such as "she is tired"."""
    (who, who_zh), single = subject(rng)
    how, how_zh = pick(rng, PREDICATES)
    be = "am" if who == "I" else "is" if single else "are"
    return f"{who} {be} {how}", who_zh + how_zh


def sentence(rng: np.random.Generator) -> Pair:
    """Draws a sentence and its translation."""
    kind = rng.random()
    if kind < 0.15:
        english, chinese = clause(rng, question=True)
        return f"{english[0].upper()}{english[1:]}?", f"{chinese}吗？"
    if kind < 0.3:
        (first, first_zh), (second, second_zh) = clause(rng), state(rng)
        word, (open_zh, close_zh) = list(JOINED.items())[rng.integers(len(JOINED))]
        english = f"{first} {word} {second}"
        if word == "when":
            chinese = f"{open_zh}{second_zh}{close_zh}，{first_zh}"
        else:
            chinese = f"{open_zh}{second_zh}，{close_zh}{first_zh}"
    elif kind < 0.4:
        english, chinese = state(rng)
    else:
        english, chinese = clause(rng)
    return f"{english[0].upper()}{english[1:]}.", f"{chinese}。"


def sentences(count: int, seed: int, without: frozenset[str] = frozenset()) -> list[Pair]:
    """Draws distinct sentences.

    Args:
        count: how many.
        seed: of the random numbers.
        without: English sentences that are not drawn, such as those of training.
    """
    rng, found = np.random.default_rng(seed), {}
    while len(found) < count:
        english, chinese = sentence(rng)
        if english not in without:
            found.setdefault(english, chinese)
    return list(found.items())
