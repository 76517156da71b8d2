"""Composes the corpus of the character RNN: classical Chinese couplets, season by season.

Each line of ``poetry.txt`` is one couplet of two five-character verses::

    晓露凝花蕊，春泥补燕巢。

that is five characters, ``，``, five characters, ``。`` and a newline, in UTF-8.  Nothing is copied
from existing poems.  A small part is written by hand (``HANDWRITTEN``); the rest is composed from
``FRAMES``, verses with slots, filled from lists of words that go together.  The two verses of a
couplet have the same pattern and parallel words, the first ends on an oblique tone (仄), the second
on a level one (平).  Two consecutive couplets form a poem: one season, one scene, one rhyme.

The result is reproducible byte for byte::

    python -m tools.compose_poetry            # write chapter12_char_rnn/poetry.txt
    python -m tools.compose_poetry --check    # exit with status 1 if poetry.txt differs
    python -m tools.compose_poetry --show 5   # print five poems and the statistics
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

POETRY_FILE = Path(__file__).resolve().parent.parent / "chapter12_char_rnn" / "poetry.txt"
SEED = 2
NUM_POEMS = 2750  # two couplets each
HELD_OUT = 0.1  # the fraction at the end of the file that chapter 12 uses for validation

MAX_USES = 3  # no verse is used more often than this
CANDIDATES = 24  # candidate couplets, of which the best is chosen
TRIES = 480  # maximum number of attempts to find them
RARE = 36  # characters used less often than this are preferred,
NUM_RARE = 20  # the rarest ones of the season and the scene ...
RARE_SHARE = 0.6  # ... in this fraction of the attempts

SEASONS = "春夏秋冬"
# Mountains, rivers, fields, travel, night, frontier, garden, ruins: the scenes and their seasons.
SCENES = {
    "山": "春夏秋冬", "江": "春夏秋秋冬", "田": "春春夏夏秋秋冬", "旅": "春春秋秋冬",
    "夜": "春夏秋秋冬", "边": "春秋秋冬冬", "园": "春春夏夏秋冬", "古": "春秋秋冬",
}  # fmt: skip
# Characters that do not belong to a season.
UNSEASONABLE = {
    "春": "夏秋冬枫蝉萤蛩",
    "夏": "春秋冬寒霜雪冰",
    "秋": "春夏冬莺桃杏",
    "冬": "春夏秋莺桃杏蝉萤蛩荷",
}
# Images of the night and of the day, or of rain and of clear skies, do not meet in one poem.
CLASHES = (("月星灯烛萤更漏宵", "日阳霞晖午鸦"), ("雨", "晴月星阳霞日晖霁"))

# How words are parallel: the kind of a word is the first line it fits, by its first or last
# character: a place, a colour, a number, a time, a quality; any other word is a plain noun.
KINDS = (
    ("位", "", "上下中里外前后畔边际"),
    ("色", "白青红黄绿翠碧苍丹粉", ""),
    ("数", "一两三四五六十百千万几数半孤双独群", ""),
    ("时", "春夏秋冬晓暮晚夜夕朝晨昨今昔", ""),
    ("形", "清寒高远深长小轻细疏微新古旧残落飞流归空幽芳明老荒浅断冷凉暗啼嫩衰枯败急野平曲闲", ""),
)
STRICT_KINDS = "位叠字"  # always paired with the same kind; other kinds preferably

# All level-tone characters of the corpus by rhyme; every other character is oblique.
RHYMES = {
    "寒": "三丹传先关前千单南含喧园圆天安宽寒山岩川帆帘年弦弯怜栏檐残泉添湾滩潭潺烟猿田看眠禅穿竿"
    "翻船莲蚕蝉衔言辕边还连闲间难鸢鸳",
    "东": "丛东中农功匆同宫封峰弓朋松枫桐浓濛烽空童笼篷红翁蓬虫蛩通逢重钟风鸿",
    "时": "丝嘶思时枝池知诗辞迟",
    "真": "临云亲人今侵军分君吟寻尘心新昏春村林沉深温琴痕砧粼纷群身轮邻金门闻阴音",
    "湖": "乌书初卒壶夫如孤扶无朱枯株梧沽浮湖炉狐珠疏胡芦锄渔虚鱼",
    "阳": "乡亡光凉双堂塘墙将常床当忙房旁杨桑梁棠江沧狂相秧窗羊羌良芳苍茫荒长阳霜香鸯黄",
    "庚": "亭倾停僧兴兵冰凝凭名听城声层平应庭征情惊成旌明星晴更横汀清灯生登盈程经耕茗莺菱萤营藤蜓"
    "蜻行轻迎醒陵青鸣",
    "秋": "休修头幽悠愁投收楼榴油洲流游牛犹留秋舟鸥",
    "溪": "低依凄啼堤披旗栖梨棋泥溪犁矶离移稀篱萋衣西迷饥鸡鹂齐飞归微晖",
    "歌": "何和多歌河波灼禾罗荷萝过遮",
    "花": "佳家斜沙涯瓜笳芭花茶蛙霞鸦麻",
    "飞": "催危吹唯回围垂帏归微悲晖杯梅炊碑窥谁随雷飞",
    "萧": "凋夭宵巢摇敲朝桃桥梢樵消涛潮烧箫苗茅萧蕉迢遥邀雕飘高",
    "开": "台哀埋塞开怀来柴槐皑苔衰",
    "它": "儿携阶车",
}

# One poem of two couplets per entry.
HANDWRITTEN = """
柳弄烟中色，莺传雨后声。小桥通野渡，流水抱春城。 细雨添新绿，微风落浅红。燕归芳草外，人在杏花中。
东风吹嫩柳，暖日照新田。老父扶犁去，儿童放纸鸢。 杨花飞古渡，桃水涨前溪。旅梦春山外，乡心落日西。
山暖云犹湿，溪深水自香。采茶人语近，隔竹鸟声长。 晓露凝花蕊，春泥湿燕巢。东风知客意，吹绿旧林梢。
草色连天远，花光照水明。一帆春雨里，双桨晚潮生。 隔岸闻渔笛，临堤见酒旗。落红浮浅水，新绿上高枝。
昨夜一江雨，今朝绿满洲。渔人收网早，燕子隔帘愁。 梨花春院雪，柳絮晚堤烟。独坐无人问，斜阳到枕边。
岭上云初散，村前日正晴。桑间蚕妇语，陇上牧童行。 寺古春苔绿，僧闲午梦长。松花落棋局，竹粉染衣香。
荷风吹小院，竹月到疏帘。枕上凉如水，窗前淡似烟。 急雨翻荷叶，轻雷过远山。渔舟横浦口，白鸟下沙湾。
梅熟千山雨，秧深一水田。村翁闲牧犊，溪女笑移船。 绿树遮窗暗，新蝉隔叶鸣。日长棋局静，风定茗烟清。
柳岸蝉声急，莲塘鹭影深。晚凉谁对酒，明月自穿林。 萤火流深竹，蛙声满浅塘。老人瓜架下，闲话夜初凉。
榴火明深院，槐云覆绿阴。午凉棋响静，人语竹房深。 水阁临清浅，荷香绕一亭。夜深人语静，帘外数流萤。
一雁横秋月，千山落晚霜。故人书不到，归客鬓先苍。 霜染丹枫叶，风吹白荻花。渔灯浮远水，茅屋隐平沙。
露重虫声细，月明人影单。西风吹客梦，一夜到长安。 荷枯犹听雨，菊老不惊霜。独客悲秋晚，孤灯照夜长。
古木栖寒鸟，荒城照夕阳。谁家砧杵急，何处笛声长。 桂影侵书案，蛩声近客床。月寒人独坐，霜落夜初长。
秋江千里静，明月一轮孤。鸿雁何时到，音书半字无。 黄叶埋幽径，青苔上短墙。闭门听冷雨，扫石煮茶香。
山空泉响近，天阔雁行高。把酒悲摇落，登楼望海涛。 渡口人归尽，城头月上迟。寒砧敲暮色，疏柳系秋思。
稻熟千村晚，篱疏一径斜。邻翁邀饮酒，稚子戏黄花。 暮色沉孤驿，秋声绕断桥。马嘶黄叶路，人待白沙潮。
雪压千峰静，冰封一水寒。老僧围火坐，稚子隔窗看。 夜雪埋幽径，寒灯照短墙。梅花无客赏，自放隔年香。
朔风吹断雁，寒日下平沙。荒驿初投宿，邻翁已煮茶。 冻云低覆屋，残雪半封桥。独钓无人伴，寒江自落潮。
岁晚山家静，柴门掩雪深。围炉温薄酒，对客理孤琴。 岁尽梅先发，春来雪尚飞。故园千里外，今夜一人归。
枯木鸦初定，空庭雪正飘。谁怜孤馆客，灯下过寒宵。 冰合长河断，天低大野昏。寒鸦投古木，归犬吠柴门。
大漠风沙急，孤城鼓角悲。将军犹按剑，战士未思归。 万里黄云暮，三军白草秋。戍楼吹笛夜，明月照人愁。
烽火连沙塞，旌旗卷朔风。宝剑横夜月，铁骑度秋空。 饮马冰河上，弯弓雪岭东。功名尘外事，生死与君同。
胡笳吹落月，羌笛怨秋霜。白发千军老，黄沙万里长。 塞外春来晚，关前草未生。不知杨柳色，何日到边城。
战骨埋荒草，征梦绕故乡。家书今夜到，亲老鬓成霜。 沙平雕影急，天阔雁声孤。暮雪迷归骑，寒烽照酒壶。
送客长亭晚，离歌小雨中。青山遮客路，流水去匆匆。 酒尽灯花落，歌残月影斜。明朝离别处，烟水满天涯。
晓月随征马，寒霜满客衣。故乡千里路，又见雁南飞。 折柳言难尽，临流意未平。一帆江上影，千里故人情。
客久征衣薄，家遥音信疏。关山千里梦，风雨一封书。 水驿灯初上，山城角未休。离人今夜酒，不醉更添愁。
驿路梅花发，江城笛韵残。书中多少泪，灯下带愁看。 南北东西路，朝昏离别情。今宵同把酒，明日独登程。
古寺隐深竹，清钟出远林。闲云无定影，流水有禅心。 石瘦苔生骨，松高月近邻。煮茶分涧水，种竹待闲人。
采药穿云去，寻僧踏月归。柴门常不闭，花落满山衣。 幽人眠石上，野鹤立松间。不问兴亡事，开门见远山。
半壁松阴冷，一炉香气微。读经灯欲灭，开户鹤还飞。 谷静泉声远，峰高日影迟。烧松温酒处，拂石看棋时。
小屋临清涧，虚窗对翠微。白云闲出入，黄犊自来归。 一竿秋水碧，双桨夕阳红。醉卧芦花里，闲歌细浪中。
小艇穿荷去，清歌隔水闻。渔家无别事，网得一江云。 浦口帆初落，沙头鹭正眠。夜深闻桨响，灯影过江烟。
湖光摇竹影，山色入船窗。笛韵风前落，鸥声渡口双。 鱼戏寒波动，鸥飞暮雨轻。渔翁归去晚，烟里一灯明。
独坐更声远，相思烛影残。玉阶凉露重，罗袖晚风寒。 锦字凭谁寄，愁心独自知。月明人别后，叶落雁来时。
夜静琴三弄，窗虚月半床。故人千里外，清梦到江乡。 灯暗书难读，更长酒已醒。起看天际月，斜照水边亭。
父老锄禾去，儿童牧犊还。炊烟浮树外，暮色落田间。 村路穿林出，溪桥过水斜。邻家新酒熟，邀我话桑麻。
犬吠疏篱外，鸡栖老树边。新禾三尺雨，旧屋一重烟。 少年轻远别，老大重相逢。一夜灯前话，半生江上风。
人生如过鸟，世事似浮云。相逢同一醉，明日又离群。 读书知古意，把酒惜春晖。不如沧海上，闲伴白鸥飞。
故国千年树，荒台万古愁。江山无旧主，风月自春秋。 草没前朝寺，潮平古渡头。兴亡多少恨，尽逐一江流。
"""

# Lists of words.  A tag says in which seasons and scenes a word may be used; 通: in all.
WORDS = """
风 春:春风 东风 和风 暖风 夏:南风 凉风 秋:秋风 西风 金风 冬:北风 朔风 寒风 通:清风 晚风 微风
风 山:松风 江:江风 边:长风 胡风 田夏:野风
强风 秋:西风 秋风 冬:朔风 北风 通:狂风 长风 边:胡风
雨 春:春雨 细雨 微雨 夏:急雨 骤雨 新雨 秋:秋雨 冷雨 疏雨 通:夜雨 暮雨
云 通:白云 浮云 孤云 春:轻云 春云 夏:夏云 秋:秋云 寒云 冬:冻云 暮云 冬云 边:黄云 阵云 山:闲云
月 通:明月 孤月 新月 残月 素月 春:淡月 秋:秋月 冬:寒月 冷月 冬月 边:边月 山:山月 江:江月
阳 通:斜阳 夕阳 落日 残照 春夏:晚霞 秋冬:残阳 寒日 冬:冬日
花 春:桃花 杏花 梨花 海棠 红杏 夏:荷花 榴花 红莲 秋:黄花 丹桂 秋菊 冬:寒梅 红梅 疏梅 玉梅
柳 春:垂杨 细柳 绿柳 新柳 嫩柳 夏:高柳 翠柳 秋:衰柳 疏柳
草 春:芳草 春草 新草 细草 夏:青草 碧草 秋:衰草 秋草 冬:枯草
叶 秋:红叶 黄叶 落叶 枫叶 霜叶 桐叶
峰 通:青山 远山 群山 千峰 春:春山 夏:碧山 秋:秋山 冬:寒山 雪岭 冬山 冬岭 山:翠峰 边:阴山
鸟 通:归鸟 飞鸟 啼鸟 春:黄莺 黄鹂 流莺 夏:翠鸟 秋:寒鸦 冬:寒鸦 寒雀 饥雀 山:幽鸟 江:白鹭 沙鸥
软 春:细柳 垂杨 芳草 花枝 夏:荷叶 菱叶 修竹 秋:衰草 芦花 残荷 桐叶 冬:枯枝 通:客衣 短发
软 江:轻帆 孤帆 边:旌旗 山:松萝 藤花 园春夏:罗衣 田夏:麦浪
远声 通:钟声 笛声 山:松涛 樵歌 江:渔歌 棹歌 秋:雁声 砧声 边:角声 笳声 夜:更声 琴声 田:鸡声
远声 园:箫声
室 通:疏窗 小楼 高楼 虚窗 虚堂 危楼 雕梁 园:画帘 珠帘 山:松窗 竹户 禅房 竹房 山房 田:茅屋 柴门
室 江:篷窗 水阁 短篷 旅:客舍 孤馆 边:戍楼 军帐 古:荒台 古殿 夜:书窗 罗帏 春:画梁 春夏:雕檐
湿物 通:苔痕 石径 青山 春:花枝 芳草 柳丝 夏:新竹 翠竹 秋:黄花 枫叶 疏桐 旅:征衣 江:孤篷
湿物 田春夏:麦陇 桑叶 园:画檐 夜:空阶 边:旌旗 铁衣 古:残碑
远处 通:孤村 平林 长堤 江:远浦 前汀 芳洲 沙湾 沧洲 长滩 晴川 山:深谷 旅:长亭 驿路 危桥
远处 边:孤城 边城 田:前村 野桥 园:西园 小园 古:荒城 故垒 夜:层楼 深巷 夏:荷塘 秋:寒塘
月处 通:层楼 空庭 清溪 池塘 寒潭 江:沙洲 平湖 轻舟 沧江 沙湾 沙滩 长川 山:松林 空山 禅房
月处 旅:孤馆 归程 客舍 园:画阁 边:关山 铁衣 长河 田:茅檐 夜:空床 罗帏 古:故宫 荒台 秋:霜林
月处 冬:寒林 春:花阴
西 通:西山 远山 江:远渚 平湖 长河 边:古戍 长河 山:层峰 空林 田:桑野 古:荒陵 残碑 旅:长亭 古道
西 园:西墙 池台 夜:重楼 高城
林 通:深林 疏林 春:芳林 夏:绿阴 秋:霜林 冬:寒林 冬林 山:翠微 空山 幽谷 田:桑林 前村 江:芦丛 沙洲
林 古:荒林
江处 通:江上 湖上 沙上 浦口 洲边 渡头 船头 水畔
山处 通:山中 谷口 松下 石上 岭上 岩下 林间 寺前
田处 通:田间 陇上 村外 篱下 屋后 门外 桑下 溪畔
园处 通:庭前 阶下 墙外 栏外 池上 院中 楼前 窗外
边处 通:塞上 关前 碛中 城头 漠北 营外 戍楼
夜处 通:窗前 枕边 灯下 楼头 帘外 床前 月下
旅处 通:桥边 道旁 亭外 马上 客里 驿前 渡头 天涯
古处 通:台上 宫前 陵下 墓前 殿前 城下 碑前
处 江:江上 湖上 浦口 洲边 渡头 山:山中 谷口 岭上 林间 寺前 田:田间 陇上 村外 篱下 屋后
处 园:庭前 墙外 池上 院中 旅:桥边 道旁 亭外 驿前 夜:窗前 楼头 帘外 边:塞上 关前 城头
处 古:台上 宫前 陵下
天 通:夕阳 斜日 明月 春:细雨 东风 淡烟 夏:急雨 浓云 流萤 秋:西风 冷雨 清霜 冬:残雪 朔风 寒云
景 通:明月 青山 白云 远峰 春:新绿 飞絮 双燕 落花 春云 夏:荷影 凉雨 荷花 午阴
景 秋:秋色 归雁 黄叶 黄花 芦花 秋山 冬:寒雪 梅影 寒梅 雪花 夜:孤月 残星 山江园田:斜晖 远村
景 山:寒泉 江:归帆 沧波 沧江
响 通:流水 松声 风声 夜雨 钟声 春:莺语 啼鸟 莺声 夏:蝉噪 蛙鼓 蛙声 蝉声
响 秋:蛩语 归雁 秋雨 秋声 寒蛩 砧声 冬:折竹 山:清磬 寒泉 松涛 松风 边:鼓角 羌笛 笳声 角声
响 江:渔唱 潮声 棹歌 旅:鸡声 夜:更声 田:犬声
远景 通:斜照 千里 孤鸟 青嶂 远山 长天 江:归棹 归舟 孤帆 秋:征雁 秋空 边:烽火 关塞 黄云 阴山 旌旗
远景 冬:飞雪 寒云 春:芳草 新晴 夏:云海
飞 通:归鸟 孤鸟 归鸦 春:双燕 飞絮 飞花 夏:蜻蜓 流萤 秋:征雁 归雁 归鸿 落霞 冬:寒鸟
飞 江:白鹭 鸥鸟 沙鸥 归帆 山:野鹤
隐 通:山寺 樵叟 野叟 僧舍 云洞 樵翁 山僧 幽人 高人
乡 通:故国 旧友 父老 亲友 乡土 故里 故园 家山 故人 亲朋 旅:长安 旅边:长安
友 通:远客 旧友 行客 诗友 亲友 故人 行人 亲朋
园花 春:芳树 红杏 桃花 海棠 夏:荷池 新竹 荷花 秋:黄菊 丹桂 菊花 冬:残雪 梅萼 梅花 寒枝
乡梦 通:乡梦 旅梦 归梦 客梦
"""

# Verses by pattern: "tag|slot|slot|slot", several per line.  A slot lists the words that can fill
# it, in any combination with those of the other slots; @name stands for a list above.
# The number after a pattern is its weight in the corpus.
FRAMES = """
[主谓宾 12]
旅秋|秋雨 寒砧 秋声|添 引|客愁 乡愁 离恨；旅夜|笛声 琴声|添 引|乡愁 离恨 客泪
山|山僧 老僧|敲|石磬 暮钟 竹门；夜|更声 寒漏|敲 催 入|客枕 孤枕 旅梦 残梦
园春|垂杨 杏花|掩 隔 拂|朱门 朱楼 雕栏；夜|琴声 笛声|传 含|幽怨 离情 别情
冬|寒雀 饥雀|噪|枯枝 竹篱 茅檐；夏|轻雷 远雷|过 隐 动|远山 平林 江村
夏|午风 凉风|入 过 散|北窗 竹房 槐阴；夏园|槐阴 桐阴|满 覆 转|书案 竹床 小院
江|渔舟 小艇|过 入 泊|沙湾 烟湾 沙滩 芦滩；江|孤篷 短篷|听 隔|秋雨 疏雨
园山|幽人 主人|倾|玉壶 酒壶；旅边|归心|到 绕|长安 江南 故山；古|野老 樵夫|话|兴亡 往事 功名
园|佳人 儿女|采 弄|莲花 花枝 新竹；田|犬吠 鸡声|出 起 隔|深巷 花丛 芦丛 竹丛
山|藤花 野竹|围 绕 满|禅房 石室 古寺；江|画船 轻篷 小艇|系 泊 过|沙滩 前汀 寒汀
春夏|新月 微风|入 过|池塘 画梁 雕栏；夏|蛙声 蝉声|满 绕 起|池塘 荷塘 秧田
田夏|农夫 村翁|看 分|秧水 新秧；园|主人 佳人|弄 理 抱|素琴 琴弦；边|狂风 寒云|围 满|孤垒 戍楼 军营
夜山|@月|照 入|我衣 我心 我窗；通|@风|吹 拂|我衣 我袖 我窗；山江|@云|伴 随|我眠 我归 我闲 我去
旅|@月|随 送|君行 君去 我归 我去；旅|@峰|送 伴|君行 君去 君归
江|渔舟 钓艇|下 入 出|沧江 沧洲 沧波；夜|虚窗 小窗|含 对|残月 秋色 孤星
边|雕弓 宝剑|照 拂|寒霜 边月 铁衣；春田园|儿童 稚子|笑 看|纸鸢 新燕 群蝶
通|@风|摇 动|翠竹 疏影 灯影；春|春水 春潮 溪水|涨 满|前溪 南浦 平湖；春|双燕 归燕|归 恋|旧巢
山|深竹 翠竹 青松|掩 隐|古寺 草堂 禅房；江|渔翁 渔父|收|渔网；旅|久客 游子|望 忆|长安 江南 乡关
春|儿童 稚子|戏 折|新柳 桃枝；江|双桨 轻棹|摇 破|波光 湖光 月影；江|白鸟 双鸥|下 过|沙湾 长滩 前汀
田|溪女 蚕妇|采|桑叶 新茶；江|湖光 波光|摇 浮|竹影 山影 柳影；江|孤舟 小艇|横 泊|沙湾 浅滩 浦口
古|新月 孤月|照 过|旧宫 前朝 荒台；通|远梦|绕 到|故园 江南 家山；通|@风|吹 拂 动|@软
秋冬|@强风|卷 扫|落叶 残云 败叶 枯草；边|@强风|卷|黄沙 旌旗 飞蓬；通|@风|送 传|@远声
通|@风|入 过 穿|@室；春夏|@风|送 散|花气 幽香 茶烟；春|@风|催|柳色 花信 百草
江旅|@风|送 催|归棹 轻帆 客船；春夏秋|@雨|湿 洗|@湿物；春夏田|@雨|润|新苗 桑麻 秧田 麦陇
夏秋|@雨|打 滴|芭蕉 荷叶 梧叶 竹窗；春夏秋|@雨|暗 迷 隔|@远处
山旅江|@云|生 起|远岫 幽壑 深谷 石壁；山|@云|遮 掩 封|洞口 山门 石径 古寺
边|@云|压 暗 接|边城 关塞 大漠 战垒；通|@月|照 临 映|@月处；通|@月|上 到|东墙 层楼 书床 南窗
通|@月|挂|疏枝 松梢 飞檐 高梧；旅江|@月|随 伴 送|行人 归客 征马 孤棹；通|@阳|照 下 隐|@西
春|@花|落 点|琴床 棋局 酒杯 苔阶；春|@花|映 照|绿水 春池 粉墙 小窗 清溪
夏|荷花 红莲 菱花|映 照|清池 曲岸 碧波 画船；夏|榴花 石榴|照 映|朱户 小院 短墙
秋|黄花 野菊 丹桂|满 绕|小园 东篱 故园 空庭；秋江|芦花 荻花|覆 满|浅水 沙洲 远浦 寒渚
冬|寒梅 红梅 疏梅|报 传|春信；冬|寒梅 红梅 疏梅 玉梅|照 映 临|冰溪 短墙 断岸 残雪
春夏|@柳|拂 垂|石桥 画桥 长堤 渡口 钓矶；春|@草|遍 满 侵|古道 长堤 荒径 石径
秋冬|@草|连 接 没|远天 荒城 古道 平野；秋|@叶|落 下|空阶 寒潭 石径 深巷；通|@鸟|入 投 归|@林
春|黄莺 黄鹂 流莺|啼 鸣 语|高树 深树 翠竹 绿杨；江|白鹭 沙鸥 鸳鸯|立 眠 下|浅沙 晴沙 寒汀 芳洲
秋|归雁 孤雁 飞鸿 新雁|过 度 横|长空 寒塘 边关 远天 秋江
夏|新蝉 鸣蝉 乱蝉|噪 抱|高柳 绿树 深枝 庭槐；秋|寒蛩 秋虫 蟋蟀|吟 泣 鸣|败草 暗壁 石阶 荒砌
夏秋|流萤 飞萤 萤火|度 穿 入 绕|深竹 小窗 疏帘 空庭；春|双燕 新燕 归燕|穿 绕 入|画梁 珠帘 深巷
春园|粉蝶|穿 恋 绕|花丛 芳树 香径；夏|蜻蜓 翠鸟|立 点|荷盖 菱叶 浅水；边|饥雕|下|平沙 古戍 大漠
山|野猿 孤猿|啼 鸣|空谷 古树；山|白鹤 野鹤 孤鹤|立 栖 宿|古松 云峰；山|老僧 山僧|扫 踏|落叶 苔径
山|老僧 山童|敲|石磬 暮钟；江|渔翁 渔父 渔人|收|晚钓 钓丝 渔网；田|牧童 村童|吹 弄|短笛
田|牧童 村童|骑|黄犊 水牛；田春|儿童 稚子|放|纸鸢；田|农夫 老农 村翁 田父|耕 锄|南亩 山田 薄田
田春夏|农夫 老农 村翁 田父|种|桑麻 豆苗 禾黍；山|樵夫 樵人|下 过|翠微 青嶂 断涧
旅|行人 征夫 游子 归客|望 忆 念|故乡 故园 家山；边|征人 戍卒 老兵|望 忆|故乡 家园 江南
边|将军 壮士|按 横|宝剑 长剑；边|将军 壮士|弯|雕弓；夜园|佳人 思妇 美人|卷 掩 下|珠帘 罗帏
夜园|佳人 思妇 美人|倚 凭|朱栏 画楼；通|钟声|出 来 度|远寺 烟寺 深谷 翠微
通|笛声 箫声|起 满 入|高楼 江村 秋空；秋|砧声 杵声|动 满|秋城 深巷 江城
边|角声 笳声 鼓声|动 满 起|边城 寒云 辕门 戍楼；山|泉声 松声|入 满 绕|山房 幽壑 禅房 石床
山田|清溪 流水 小溪|绕 抱 过|柴门 茅屋 孤村 石桥；江|春潮 暮潮 寒潮|打|孤岸 石矶 沙岸 古堤
通|暮烟 寒烟 轻烟 晓雾|笼 迷 锁 隔|远树 古渡 平湖 野寺；秋冬|清霜 寒霜|侵 染|客鬓 衰鬓
秋|白露 凉露 清露|滴 湿 浮|桂花 玉阶 疏桐；冬|飞雪 暮雪 积雪 残雪|覆 满|荒径 空山 屋檐
冬|飞雪 暮雪 积雪|压|松枝 茅檐 竹枝；夜旅|孤灯 寒灯 残烛|照 伴|孤影 空床 旧卷 客愁
旅夜|旅梦 归心 愁心|随 逐 寄|归雁 流水 明月 行云；古|荒草 野草|没 埋 侵|故垒 断碑
古|野鹿 狐兔|游 出 穿|废苑 荒陵 空殿；田|鸡声 犬声|出 满 起|竹篱 远村 桑林
田|炊烟|出 绕 起|茅檐 竹林 村树；田|家童 邻翁 野老|携 送 分|村酒 新酒
边|烽火 寒烽|照 连|大漠 远塞 长城；边|战马 胡马|饮 渡|冰河 寒泉 沙河
旅|征马 瘦马 归马|嘶 踏|古道 断桥；古|江山 青山|送|兴亡 古今
江|孤舟 归舟 小艇|泊 系|垂杨 断岸 枫桥 柳岸；江|孤舟 小艇 轻棹|穿 入|芦丛 烟波
[处主谓 6]
通|@处|新月|弯 明 小；园|@园处|池水 春水|盈 深 绿；夜|@夜处|笛声 琴声|悲 长 怨
旅|@旅处|笛声 离情|悲 多 残；山|@山处|藤萝 女萝|绿 垂 深；春|@处|柳丝|软 绿 垂
夏|天外 山外 云外|轻雷 雷声|过 远 动 轻；夏|窗下 阶下 庭前|槐阴 午阴|清 凉 绿 转
夏|枕上 窗前|午梦|长 清 断；田|@田处|儿女 蚕女|归 笑 闲 语；山|@山处|草堂 竹房|静 闲 小 空
江|@江处|鸳鸯 鸥鹭|眠 戏 栖；山|@山处|经声|清 微 远 幽；秋冬|@处|霜气 寒霜|凝 重 降
春田园|天外 村外 墙外|纸鸢|飞 低 斜 小 起 远；江|湾外 滩外 汀外|渔火|明 远 小
江|湾外 滩外 汀外|归帆|远 来 小 迟；江|@江处|涛声 波涛|急 起 高 近；江|@江处|渔网|收 湿 挂
旅|@旅处|久客 旅客|愁 老 醉 归；旅夜|@旅处|锦书 锦字|来 到 稀 断；夜|@夜处|旅梦 远梦|惊 断 长 寒
田|@田处|暮云 斜日|低 落；古|@古处|斜阳 落日|低 冷 下；边|@边处|黄云 寒云|低 暗 合
通|@处|明月 斜阳 疏雨|下 照 落；江|@江处|归棹 小艇|去 泊 系 过；山|@山处|猿声 樵响|断 起 近 落
山|@山处|青松 古柏|老 秀 立；田|@田处|儿童 蚕妇|笑 语 唱 立；田|@田处|新麦 桑叶|熟 绿 秀 动
园|@园处|芳草 春草 新竹|绿 长 秀 密；园|@园处|佳人 主人|坐 醉 立 倚
边|@边处|将军 战士|醉 立 老 望；边|@边处|鼓声 角声|急 动 断 苦；夜|@夜处|箫声 歌声|断 怨 静
夜|@夜处|客心 乡思|乱 苦 动；旅|@旅处|故人 离客|去 散 别 醉；旅|@旅处|残月 晓月|落 白 冷 照
古|@古处|断碑|卧 立 没 冷；古|@古处|古柏 老树|老 死；江|@江处|波光 湖光|明 平 浮 清
江|@江处|桨声|来 轻 摇；夜|@夜处|月光 灯光|明 寒 清；旅边夜|@旅处|音书 家信|稀 来 迟
春|昨夜 昨宵 今朝 今夜|春风 东风|来 多 生；春夏秋|昨夜 昨宵 今夜 今宵|冷雨 山雨 疏雨|来 多 停
春|昨日 今日 今朝|桃花 杏花 新燕|开 飞 来；夏|昨日 今日 今朝|荷花|开 香 生
秋|昨夜 昨宵 今夜 今朝|秋风 西风|寒 高 来 凉；秋|昨日 今日 今朝|黄菊 归雁|来 香 飞
冬|昨夜 昨宵 今夜|朔风 寒雪|寒 飞 来；冬|昨日 今日 今朝|寒梅 早梅|开 香
夜|今夜 今宵 昨宵|明月 孤月|圆 明 清；旅|今日 明日 明朝|行客 故人|归 行 来 还
旅江|今日 明日 明朝|归帆 孤棹|行 归 开；田|昨日 今日 今朝|村酒 新酒|香 成 清
边|昨夜 昨宵 今夜|边书|来 飞 传；古|昔日 前日 当日|宫殿 楼阁|高 空 倾
江|@江处|白鸥 白鹭 双鹭|飞 眠 闲；江|@江处|归帆 远帆 孤帆|来 归 迟 落；江|@江处|渔火 钓灯|明 红 暗
江|@江处|渔歌 棹歌|起 长 闻 清；江|@江处|晚潮 暮潮|生 平 来 落
江|@江处|暮烟 寒烟 晓雾|生 浮 迷 收；江秋|@江处|芦花 荻花|飞 飘 白；江春|@江处|杨花 柳花|飞 飘 浮
江夏|@江处|荷花 红莲|香 开；山|@山处|幽鸟 山鸟 啼鸟|鸣 啼 还；山|@山处|清泉 细泉 飞泉|流 鸣 响 清
山|@山处|白云 闲云 孤云|生 归 飞 深；山|谷口 岭上 云外 林外|钟声|来 微 远 迟
山|@山处|老僧 幽人 高士|眠 坐 来 闲；山|@山处|樵歌 樵声|闻 起 长；山秋|@山处|黄叶 红叶|飞 稀 落 深
山春|@山处|野花 山花|开 香 发 红；山冬|@山处|残雪 积雪|明 深 消；山夏|@山处|绿阴 凉风|生 清 满
田|@田处|黄犊 牛羊|归 眠 还 卧；田|@田处|鸡声 犬声|闻 喧 起；田|@田处|炊烟|生 斜 起
田|@田处|农歌 笛声|长 起 闻；田|@田处|野老 邻翁|来 闲 归 醉；田夏|@田处|麦浪 蛙声|平 高 齐
田夏|@田处|蛙声|喧 多 乱；田春|@田处|菜花 桃花 杏花|开 香 黄 红；田秋|@田处|稻花 新谷|香 黄 熟
田秋|@田处|秋瓜|熟；田冬|@田处|寒雀 饥乌|飞 鸣；园春|@园处|桃花 海棠 杏花|开 红 落 香
园春|@园处|双燕|飞 来 闲 舞；园夏|@园处|绿阴 新荷|浓 圆 凉；园夏|@园处|榴花|红 开 落
园秋|@园处|黄菊 丹桂|香 开 残；园秋|@园处|桐叶 枫叶|飞 凋 落；园冬|@园处|寒梅 玉梅|香 开 发
园冬|@园处|雪花|飞 飘 落；园|@园处|笛声 箫声|清 长 起；园|@园处|竹影 树影|斜 移 疏
边|@边处|角声 笳声 羌笛|悲 哀 起 寒；边|@边处|黄沙 飞沙|飞 迷 起；边|@边处|烽火|明 红 起
边|@边处|征人 老兵|愁 归 老；边|@边处|旌旗 战旗|红 飞 动；边|@边处|战马 胡马|鸣 嘶
边秋冬|@边处|白草 枯草|枯 凋 折；边秋|@边处|归雁 塞雁|飞 鸣 过
夜|@夜处|孤灯 残灯 寒灯|明 昏 残 暗；夜|@夜处|秋声 虫声|来 多 细；夜|@夜处|乡梦 归梦|迟 残 断
夜|@夜处|漏声 更声|长 残 远 沉；夜|@夜处|琴声 箫声|清 哀 幽 歇；夜|@夜处|佳人 游子|愁 眠 泣
夜秋|@夜处|寒蛩 蟋蟀|鸣 吟 啼；夜秋|@夜处|清露 白露|凝 垂 滴；夜夏|@夜处|流萤 飞萤|飞 稀 明 过
夜春|@夜处|落花|飞 多 轻；旅|@旅处|行人 游子 征夫|愁 归 过 老；旅|@旅处|征马 瘦马|嘶 鸣 归
旅|@旅处|离歌|长 残 起；旅|@旅处|乡心 归心|生 乱；旅|@旅处|晚烟 暮烟|生 深 起
旅春|@旅处|垂杨 新柳|垂 青 绿；旅秋|@旅处|归雁 孤雁|飞 来 过；旅秋|@旅处|枫叶 黄叶|飞 丹 落
旅冬|@旅处|寒雪 飞雪|飘 深 落；旅冬|@旅处|早梅 疏梅|开 香 发；古|@古处|荒草 野草|生 深 长 合
古|@古处|寒鸦 乌鸦|啼 飞 噪；古|@古处|野鹿 狐兔|游 眠 走；古|@古处|石马 石人|眠 残 卧 立
古|@古处|寒烟 野烟|生 深 起；古春|@古处|野花 山花|开 红 发；古秋|@古处|衰柳 黄叶|凋 黄 落
[句中对 5]
夏|蝉静 槐老|午风 午阴|凉 清 薄 淡；夏|雷动 雷过|山雨 池雨|急 来 凉
夏|午静 院静|茶气 蝉声|清 细 浓 近；山|经罢 禅定|磬声 炉火|清 微 灭 静
夜|灯灭 烛灭|虫语 漏声|沉 细 静 近；旅|路险 岭险|车马 归骑|难 迟 少 倦
江|水阔 川阔|天色 帆影|宽 低 远 小；秋冬|霜重 风冷|客衣 征衣|单 薄 寒 冷
通|云重 天暮|山色 帆影 雁影|低 暗 昏 淡；江|风静 浪静|渔网 渔笛|收 远 闲 起
夜|衣薄 更静|人影 灯影|单 瘦 孤 冷；通|云开 雾散 烟消 天晴|远岫 千峰 远峰 群山|明 青 高 秀 近
春夏秋|雨过 雨歇 雨霁|青山 碧峰 翠峰|新 秀 近；春|雨过 雨歇|草色 柳色 麦苗|新 浓 嫩 齐
春|日暖 风暖 春暖|蝶梦 花气 莺语|长 香 闲 软；春|风定 春去 春尽|落花 残花|多 香 红 少
春|冰解 雪消 雪尽|溪水 春水 涧水|生 流 平 活；夏|日长|午梦 蝉声|清 多 闲 静
夏|风过 风来|荷气 莲香|清 凉 幽 淡；夏|雨急 雨骤|荷盖 芭蕉|翻 倾 响
夏|树密 竹密|鸟声 蝉声|幽 深 乱；秋|霜落 霜降|枫叶 林叶|丹 红 稀
秋|霜冷 露冷 秋老|菊花 荷叶 蛩语|残 枯 苦 瘦；秋|潮落 水落 秋净|江岸 沙岸 远浦|宽 平 阔 出
秋|秋尽 秋老 霜重|雁声 虫声|稀 哀 远 断；秋|月冷 露重|砧声 漏声|寒 清 急 迟
冬|雪满 雪积 雪深|荒径 空山 古道|深 寒 没；冬|雪霁 雪晴|群山 远峰 梅影|明 寒 瘦 净
冬|岁晚 岁暮 天寒|归客 行人|稀 迟 少；冬|冰合 水冻|渔艇 江水|稀 沉 静
通|月出 月上 月明|松影 竹影 花影|斜 长 移 乱；通|日落 日暮|归鸟 飞鸟|喧 多 急 倦
江|风起 浪起|帆影 舟影 鸥影|斜 轻 乱 动；江|潮落|沙痕|明 新 出；江|天远 天阔|帆影 江树|微 低 小 细
江|水阔 江阔|渔艇 舟影|轻 孤 小；山|林静 山静 谷静|泉声 鸟语 松声|清 幽 远 细
山|院静 僧定 磬歇|香烟 松子|微 浮 落；山|洞古 石老|苔色 藤影|青 深 绿
山|路转 谷转|泉声 花气|来 生 近；田春夏|桑老 蚕熟|村妇 溪女|忙 闲 喜 笑
田|牛倦|山笛 牧笛|长 闲 远；田|酒熟|邻叟 村叟|来 歌 醉；旅|酒醒 梦醒|孤馆 客枕|寒 凉 冷
旅|路远 路尽|人影 马影|孤 单 瘦；旅|客去 人去|驿馆 旧馆|空 闲 静
夜|灯尽 烛尽 香尽|漏声 更鼓|残 长 断；夜|人静 夜静|虫声 砧声|多 寒 近
夜|梦断 梦觉|客枕 罗袖|寒 凉 冷；夜|弦断 曲罢|琴韵 歌韵|残 哀 远；边|战罢 战苦|铁甲 宝剑|寒 残 冷
边|角罢 笳罢|戍卒 战马|愁 归 静；边|沙起 风急|旗影 雕影|斜 昏 乱；边|雪满 霜满|弓影 剑气|寒 横 冷
园|帘卷 帘静|茶烟|浮 斜 细；园|棋罢 客散|松影 竹影|移 斜 静；园|径曲|花影 苔色|深 斜 密
古|人去 国破|宫殿 楼阁|空 倾 冷；古|代远|江水 山月|流 在
[叠字前 3]
江|漠漠 渺渺|林际 水际 云际|烟 帆 雁 树；旅|匆匆|@处|人 客 马；通|悠悠|@处 天外 云外|云
江旅|悠悠|@处|水 云 波；通|寂寂|@处|花 门 人 月；通|漠漠|@处 天际|烟 云 雾
秋冬|萧萧|@处|风 林 木 叶；通|皎皎|@处 天外|月 星；通|淡淡|@处 云外|烟 霞 月
通|点点|@处 天外|鸦 星 灯；通|纷纷|@处|尘 叶 絮 雪；春|袅袅|@处|烟 丝 柳
春夏|青青|@处|松 苗 柳 草 竹；秋冬|苍苍|@处|松 柏；秋冬|苍苍 隐隐|天外 云外 江上|山 峰
江|渺渺 茫茫|@处 天外|波 舟 水 路；山田|潺潺|@处|溪 泉 水；旅边|迢迢|@处 天外 云外|山 程 路 水
江|粼粼|@处|波 水 浪；春夏秋|濛濛|@处|烟 雾 雨；冬|皑皑|@处|霜 冰 雪；春|灼灼 夭夭|@处|花 桃 杏
夏|亭亭|@处|荷 莲 竹；秋|凄凄|@处|风 霜 露 雨；田|离离|@处|禾 麻 黍 麦；秋冬|瑟瑟|@处|风 芦 竹
春|依依|@处|杨 烟 柳；夜园|脉脉|窗前 帘外 楼头 池上|月 情；江边|闪闪|@处|灯 火；夏|闪闪|@处|萤
边|凛凛|@处|风 霜 雪 剑；古|莽莽|@处|林 云 草
[叠字后 3]
旅|行客 游子 征马|去 别|匆匆 依依；古|往事 旧事|去 散|匆匆 悠悠；春|春水 春江|碧 绿|粼粼 盈盈 悠悠
春|春草 芳草|绿 碧|萋萋 离离；江|江水 流水|去 流|悠悠；春|新柳 柳丝|绿 垂|依依 袅袅
春|落花 柳絮 桃花|飞 落|纷纷 冉冉；春夏|芳草 青草|绿 生|萋萋 离离；夏|荷叶 莲叶|立 绿|田田 亭亭
夏|蝉声 蛙声|响 噪|喧喧；秋|秋雨 寒雨 落叶|下 落|萧萧 凄凄；秋|枫叶 霜叶|落 下|萧萧 纷纷
秋|秋草 衰草|白 接|离离 茫茫；秋|雁阵 秋雁|去 度|迟迟 行行；冬|飞雪 暮雪|下 落|纷纷
冬|北风 朔风|吹 起|凛凛 萧萧；通|白云 浮云|去 过|悠悠 冉冉；通|暮烟 寒烟|起 锁 淡|漠漠
通|远山 群山|翠 出|苍苍 重重 隐隐；通|归路 前路 客路|去 隔|迢迢 茫茫 漫漫
夜|明月 素月 孤月|出 上|皎皎 迟迟；夜|更漏 漏声|滴 断|迟迟 沉沉；夜|客梦 归梦|去 断|悠悠 茫茫
山|清泉 山泉 涧水|响 落|潺潺；山|松风 松声|响 起|萧萧；山|钟声 磬声|落 度|迟迟 悠悠
边|战马 征马|去 响|萧萧 得得；边|黄沙 大漠|接 卷|茫茫 漫漫；田|桑叶 麦苗|绿 长|青青 油油
古|荒草 野草|没 接|离离 茫茫；园|竹影 花影|动 上|疏疏 重重；旅|离恨|去 积|悠悠
[人事 5]
园|久坐 独坐|忆 怜 惜|落花 旧友 残春；山|久坐 静坐|听 对|松风 山月 鸟语
旅|倚马|寄 待|锦字 锦书 音书；夜|独坐 久坐|忆 念 怜|故人 亲友 旧事
江|收网|待 望 看|新月 归舟 晚霞；山|烧叶 烧松|煮 温|山茗 村酒 药酒
园|闲坐 对酒|话 忆|旧事 往事 前梦；通|开窗|迎 见 待 对|@景；通|闭门 闭户|听 闻|@响
通|卷帘|看 见 邀 迎|@景；通|登楼 登高|望 看|@远景；通|凭栏 倚楼|望 看 数|@飞；通|把酒|对|@景
通|把酒|邀 问|明月 青山 白云 江月；山|倚杖|听 闻|@响；山|拂石|看|棋局 古字 云影；山|携琴|寻|@隐
山|枕石|听 闻|@响；山|采药|寻 逢|@隐；山|扫榻|留 待|@隐；江|停舟|听 闻|@响
江|倚棹 移舟|看 望|@远景；江|垂钓 投竿|伴 看 随|@飞；江|沽酒|寻 邀 问|渔父 江叟
旅|停车|看 问|行路 前路 古驿 旧路；旅|回首|望 忆 思|@乡；旅|折柳|送 别|@友；旅|把酒|别 送|@友
旅|策马|度 过 出|重关 危桥 荒岭；旅|投店 投宿|听 闻|@响；夜|挑灯|读 看 理|旧卷 旧书 家信
夜|披衣|看 见 对|@景；夜|倚枕|听 闻 数|更鼓 残漏 檐雨；夜|停杯|忆 思 怀|@乡
夜|移灯|照 看|残局 孤影；夜|理曲|寄 怀|@友；田|荷锄|归 立|村舍 斜日；田|倚锄|看 数|@飞
田|扶犁|耕 翻|南亩 春土 荒地；边|按剑 倚剑|望 看|@远景；边|立马|听 闻|@响；边|登城|望 忆 思|@乡
边|弯弓|逐|飞雁；园|绕阶 步月|听 闻|@响；园|携酒|赏 寻|@园花；园|倚树|看 数|@飞
园|种竹 移竹|添 留|凉影；园|闲步|寻 得|佳句 新句；园|临水|照 看|花影 云影 新月
古|登台|望 怀|往事 前事 故国
[数量 2.5]
旅|驿路 前路|三十 五十|里 程；边|烽火 戍楼|三十 五十|处 里；春|垂柳 杨柳|千百 三五|树
冬|梅萼 早梅|三五 两三|朵 树；夏|荷叶 莲叶|百千 三五|片；秋|归雁 飞雁|三四|字 阵
夜|残漏 更鼓|三四|点 响；山|青嶂 翠峰|千万|朵；江|归鹭 白鹭|两三 三五|只 点
旅|驿路 前路|三百 五百|里；田|鸡犬 牛犊|三五 两三|只；边|战骨 征骨|千万 几千|里
古|兴亡 往事|多少|恨 年 春；旅|离愁 别恨|多少|泪 重 声；旅边|归路 客路 关山|千万 三千 五千|里
旅|离愁 别恨 乡思|千万 两三|重；旅江|烟水 云水 云山|几千 千万 几多|重 程 层
江|渔灯 渔火|三四 几多 两三|点 星 家；江|归帆 轻帆|两三 千百|片 行 帆；山田|茅屋 草堂|两三 三四|间
山田|野舍 村落|三五|家；山|古松 老树|百千|株 围；山|疏钟 清磬|两三 一两|声
通|归鸦 寒鸦|三四 千百|点 声；秋|归雁 飞雁|两三 一两|行 声；春|新燕 燕子|两三 一两|双
春|垂柳 杨柳|千万 百千|丝；春|桃李 红杏|三五 千百|枝 株；夏|新竹 修竹|千百|竿 丛
夏|蝉响 蝉噪|三五 一两|声；秋|砧杵 寒杵|千百 三四|声 家；冬|梅萼 寒梅|三五 一两|枝 株 花
冬|残雪 积雪|三五|分 尺；田|豆陇|三五|行；边|胡骑|三万 十万|人 兵 军；边|戍垒 营垒|三五|重
夜|更鼓 残漏|三四|声 更；园|书架|千百|层；古|兴废|千百 几千|年 秋；夜旅|白发 霜鬓|千百 三四|丝
[一片 4]
江|湖上 江畔|十里|荷 烟 波；旅|亭外 山外|十里|程 山 烟；江|天际 湖际 江际|十里 百里|烟 波 霞
秋夜|阶下 檐下|几尺 三尺|霜；春田|村外 溪畔|几架 一架|瓜 藤；夜园|灯下 案上|一壶 半壶|酒 茶
江|湾外 江上 滩上|一叶 几叶|舟 篷；通|天边 天外 云外|一声 数声 几声|雁 鹤 钟 笛
通|天边 山外 水外|一片 几片 数片|云 霞；通|天际 楼上 楼头 窗外|一轮 半轮|月
通|天外 楼外 村外|数点 几点 两点|鸦 星 山；江|江上 湖上 天际|一片 几片 数叶|帆 舟
江|浦口 江畔 沙上|数点 几点 一点|灯 鸥 萤；江|船上 渡头 江上|一曲 数声|歌 笛
山|山外 云里 岭上|一声 几声|钟 磬 猿；山|山中 林里 松下|一局 半局|棋；山|石上 山里 松下|一壶|茶 酒
山|寺里 殿前 石上|半炉|香；山|谷里 寺外 岩畔|十里 千壑|松 云 泉
春|墙外 村外 溪畔|一树 几树 千树|花 桃 杏；春|枝上 窗外 林里|一声 数声 两声|莺；夏|池上|十里|荷 莲
夏|枕上 树里|数声 几声|蝉；夏|窗外 檐外|一阵 几阵|风 雷 雨 凉；秋|阶下 床下 灯下|数声 几声|蛩
秋|篱下 窗下|几朵 数朵|花 菊；秋|江上 楼外 城外|一夜 万里|风 霜 秋；冬|门外 檐外 岭上|一夜 三尺|雪
冬|窗外 溪畔 墙外|一树 几朵|梅；旅|马上 客里|两鬓|霜 尘 愁；旅|亭外 桥外|十里 百里|烟 程 尘
旅|客里 灯下|一纸 数纸|书；夜|枕上 灯下|一夜 半夜|风 愁 雨；夜|枕上 楼外|五更 三更|钟 寒 雨
夜|枕上 客里|千里 万里|心 路；夜|花下 灯下 月下|一曲 几曲|琴 箫 歌
田|陇上 田外|数亩 几亩|麻 禾 麦；田|桥外 陇上 村外|数处 几处|烟 歌 笛
田|门外 溪畔|五株 几行|杨 桑 柳；边|塞外 关外 城上|一夜 万里|沙 风 雪；边|马上|三尺|剑
边|帐外 碛外|十万 百万|兵 军；园|窗下 案上|一卷 数卷|书 诗；园|墙外 院里|几朵|花
园|花外 帘外|一架 几架|藤 萝；古|陵上 城外 宫外|百代|云 愁 风；古|台上 江上|千古|山 恨 月
[列锦 4]
江|@天|短篷 芦岸|人 灯；夏|午风 凉雨|竹院 荷池|茶 棋 人 酒；旅|@天|古道 驿路|尘 人 车
旅|@天|长亭 荒店|人 酒 客；旅|@天|断桥 荒岭|人 马；旅|@天|孤馆 客舍|灯 心 梦
江|@天|孤舟 轻棹|人 灯 客 梦；江|@天|野渡 古渡|船 人 水；江|@天|浅渚 平湖|鸥 舟 鹭
江|@天|小市 水驿|灯 鱼 酒；山|@天|古寺 山寺|僧 钟 灯；山|@天|深壑 空谷|泉 猿 鹤
山|@天|石室 草堂|书 琴 客；田|@天|荒村 野店|烟 鸡 酒；田|@天|深巷 柴户|人 犬 花
田|@天|浅草 平野|牛 人 犊；夜|@天|高楼 画阁|人 笛；夜|@天|孤枕 空馆|人 更 梦
夜|@天|深院 玉砌|苔 蛩 漏；边|@天|戍楼 辕门|旗 兵 鼓；边|@天|大漠 孤城|烽 沙 角
边|@天|瘦马 军帐|人 兵 灯；园|@天|小院 曲径|花 人 竹；园|@天|画阁|琴 人 酒
古|@天|废苑 空殿|苔 鸦 柳；古|@天|古墓|松 碑 字
[随带 3.5]
春|香与 梦与|流水 春草|远 长 生；夜旅|影共 身共|孤馆 残月 征马|单 孤 寒 瘦
通|风与 云与|飞鸟 归鸟 游子|远 去 散；江|月逐 影逐|流水 轻浪 孤棹|动 转 去
夜|泪与 梦与|残烛 更漏|尽 断 短 长；旅|尘逐 影逐|征马 归客|起 去 远
春|莺逐 蝶逐|飞絮 芳草|舞 乱 语；秋|露共 霜共|残菊 枯草|白 冷 落；冬|风卷 云带|飞雪 残叶|下 落 舞
田|烟逐|村树 晚风|起 动 散；边|角逐 鼓逐|边月 胡马|动 起 响
通|心与 意与|流水 闲云 孤鹤|清 闲 同 飞；通|山与 峰与|暮云|平 齐 高
江|水与 浪与|远天 碧落|平 连 长；旅|家与 人与|远山 归梦|遥 长 同
春|花随 花逐 絮逐|流水 东风|来 去 远 飘；通|鸟带 鸦带|夕阳 斜照 晚霞|归 飞 还 去
通|人逐 人伴|白云 孤云 暮云|闲 还 住；江|帆逐 舟趁|晚潮 春潮|归 轻 去
江|鸥伴 鹭伴|钓舟 渔父 钓翁|眠 闲 立；旅|心逐 梦逐|归雁 流水 行云|飞 长 远
旅|马踏 人踏|黄叶 残月 荒草|行 归 去；秋|雁带|边信 秋色 霜气|来 飞 去
秋|叶逐 蓬逐|西风 寒水|飞 飘 转；秋|蛩共 虫共|暗雨 孤客|吟 愁 语；冬|雪伴|归骑 寒梅|来 飞 落
冬|梅伴 竹伴|幽客 残雪|清 寒 瘦；夏|香逐 香带|荷露 凉雨|来 浮 散；夏|蝉抱|高树 凉叶 疏柳|吟 鸣 噪
春|燕趁 蝶趁|晴日 暖日 和风|飞 来 舞 语；山|钟逐 磬逐|晚风|来 飘 远
山|僧共 鹤共|白云 孤月|闲 归 住；山|泉逐 溪逐|山路|流 鸣 转；田|牛逐 犊逐|牧童 村童|归 还 去
田|酒共 茶共|邻叟 樵客|饮；夜|愁逐 恨逐|更漏 残烛|长 深 尽；夜|影共 身共|孤烛 残月|寒 孤 瘦
边|旗逐 沙逐|胡雪 胡风|翻 飞 卷 舞；边|心逐 梦逐|征雁 关月|归 飞 去
园|琴共 诗共|良夜 佳友|清 闲 好；园|影逐 香逐|帘月 庭竹|移 斜 动 转
古|恨逐 愁逐|流水 江草|长 生 满；古|事共|残照 烟草|沉 空 灭
[有无 3]
春夏|老树 古柳|有鸟|宿 语 啼；山|古寺 空谷|有磬 有月|响 照 来；江|小艇 钓艇|有月|照 随 明
旅|野店 茅店|有月 有火|照 明；夜|客枕 孤枕|有泪|落 滴 垂；边|荒塞 远塞|有月|照 出 寒
边|荒塞 远塞|无雁|过 飞 来；园|小榻 曲案|有酒|醉 倾 香；古|废苑 空殿|有月 无酒|照 落
江|野渡 古渡|无人 无客|过 来 问；江|寒江 秋浦|有客|钓 吟 宿；江|沙岸 芦岸|有鸥 有鹭|眠 飞 立
江|暮浦 远浦|有帆|归 来 落；江|小艇 钓艇|无酒 有酒|沽 饮；山|古寺 深谷|无僧 有僧|归 住
山|空山 幽谷|有鸟|鸣 啼 语；山|石径 苔径|无客 无人|来 行 到；山|古洞 云洞|无路|通 入 上
田|荒村 小巷|有犬|鸣 吠；田|柴户 竹门|无客|来 敲 到；田|瘦地 薄田|无麦|收 种
夜|客枕 孤枕|无梦 有梦|成 来 到；夜|故里 远塞|无信 无雁|来 到 寄；旅|客路 驿路|无伴 有伴|同 行 问
旅|野店 茅店|有酒 无酒|沽 倾；旅|故里 远塞|无信 无雁|通 传 到；边|远塞 荒塞|无树 有雪|青 飞 落
边|戍垒 荒垒|有卒|啼 归 泣；春|小院 曲径|有花|开 香 落；春|老树 古柳|有莺|啼 飞 语
秋|老树 古柳|无叶|飞 落；秋|老树 古柳|有蝉|鸣 噪 吟；秋|小院 曲径|有菊|开 香 采
冬|小院 曲径|有雪 有梅|寒 香 扫；夏|曲池 小池|有荷|开 香 折；夏|老树 古柳|有蝉|鸣 吟 噪
古|废苑 空殿|无主|归 啼；古|古墓|有碑 无字|传 读；园|小榻 曲案|有琴 有书|看 读
[静闻 3.5]
田秋|稻熟|闻 听|村鼓 村笛 农歌 村歌；通|夜静 院静|闻 听|残漏 疏雨 钟声 风声 更声
通|风定 烟散|知 见|帆远 鸟倦 山近 天高；秋冬|木落 叶落 林疏|见 看|荒驿 归鸟 远山 人家 前村
山|林静 山静 谷静|闻 听|啼鸟 清磬 流水 归樵 松声 清泉；山|云冷 月冷|眠 宿|孤鹤 野鹤 高僧 孤猿
山|雾散 云散|见 望|樵路 归路 山寺 层峰；山|路转 径曲|逢 遇|樵客 野寺 樵翁 山僧 人家
江|水浅 江浅|见 数|白石 沙鹭 游鱼 寒沙；江|浪静 江静|闻 听|归棹 渔唱 渔歌 桨声
江|天阔 江阔|见 望|归棹 飞鹭 归舟 孤鸿 遥山；春|日暖 风暖|见 看|飞絮 舞燕 飞花 游人 游丝
春|柳暗 树暗 花暗|闻 听|啼鸟 莺语 莺声 鸡鸣；夏|树密 竹密|闻 听|啼鸟 蝉噪 蝉声 风来 泉声
夏|水净 池净|见 看|荷影 鱼戏 游鱼 新荷；秋|露冷 霜冷|闻 听|寒杵 归雁 寒蛩 砧声 虫吟
冬|雪霁 雪晴|见 看|樵路 寒雀 寒梅 遥峰 孤村；冬|夜冷 风冷|闻 听|飞雪 寒漏 飞霜 归鸿
旅|路远 马倦|逢 遇|荒店 归客 荒村 行人 斜阳；旅|酒醒 梦觉|闻 听|寒角 征雁 鸡鸣 风声
田|犬吠 鸡唱|知 迎|归客 来客 归人 天明；田夏|麦熟|闻 听|村鼓 村笛 农歌 村歌
边|沙远 天远|望 见|孤戍 飞鸟 孤城 归鸿；边|夜冷 霜冷|闻 听|羌笛 边鼓 笳声 胡歌
夜|烛暗 灯暗|看 读|旧信 残卷 家书 残诗；夜|曲罢 酒罢|见 对|寒月 孤影 寒星 空庭
古|城废 苑废|见 有|狐兔 饥鸟 寒鸦 残碑；园|径曲 巷曲|通 入|幽院 花径 林亭 花间
园|茶熟 酒熟|待 对|佳客 诗友 故人 良朋
[副词 4.5]
田春|老父 田父|正 自 闲|扶犁 种豆 种瓜；旅|久客 游子|久 尚 未|去国 忘里 思家 还乡
冬|残雪 积雪 寒云|尚 犹|压竹 满径 封山 遮门；夜|孤月 残月|尚 犹|在水 照我 留人 随人
古|古木 断碑 老树|尚 久|立水 卧草 留名 迎风；春|新柳 细柳 嫩柳|初 已 渐|垂岸 拂地 垂丝 含烟 成阴
春|归燕 新燕 双燕|初 已 又|寻主 入户 衔泥 归巢；春|山杏 桃蕊 红杏|初 已 欲|含笑 破萼 含香 迎风
夏|新荷 嫩荷 荷叶|初 已 渐|出水 带露 浮香 成阴；夏|新蝉 早蝉|先 初 已|鸣树 报夏 吟风 鸣阴
秋|归雁 塞雁 孤雁|初 已 又|离塞 过岭 南飞 离群；秋|霜叶 枫叶 桐叶|初 渐 已|辞树 满地 辞枝 飘阶
秋|篱菊 丹桂 黄菊|初 犹 正|含露 留客 含香 迎霜；冬|寒梅 疏梅 早梅|先 已 独|破雪 报岁 传香 迎寒
冬|残雪 积雪|犹 已 未|封径 埋屋 封门 消痕；通|残月 新月 孤月|初 犹 独|窥户 照水 窥人 临窗
通|浮云 孤云 白云|独 自 还|归岫 出谷 归山 还峰；通|钟声 笛声|初 忽 又|过岭 入户 惊眠 穿林
江|孤帆 归棹 远帆|初 欲 未|离岸 过浦 离洲 归湾；江|白鸥 沙鹭 白鹭|自 独 还|窥水 戏浪 窥鱼 随波
江|渔父 钓叟 渔翁|自 独 常|吹笛 醉月 高歌 眠舟；山|老僧 高士 幽人|自 独 常|煮茗 踏月 看云
山|孤鹤 野鹤 白鹤|忽 自 还|过岭 窥户 归松 窥人；山|山鸟 幽鸟|忽 自 还|惊梦 惊人 归林
旅|征客 游子 行客|未 欲 独|归里 投宿 登程 还家；旅|征马 瘦马 归马|犹 欲 独|恋主 过岭 嘶风
夜|孤烛 寒烛 残烛|犹 独 空|垂泪 照壁 摇红 窥人；夜|归梦 乡梦 客梦|忽 又 空|成断 过岭 还家 成空
田|村酒 新酒|初 已 还|留客 留人 飘香；田|田叟 邻叟 老农|正 自 闲|锄豆 种菜 锄田 收瓜
边|战士 老将 壮士|犹 独 空|披甲 按剑 思家；边|胡骑 铁骑|忽 又 已|南下 渡水 南来 连营
园|幽竹 修竹 新竹|自 独 常|含翠 近月 含烟 迎风；园|小蝶 粉蝶 双蝶|忽 又 自|穿户 入梦 穿花 寻香
古|宫柳 陵柏 古柳|空 犹 自|含恨 照水 含烟 垂丝；古|江月 山月|空 犹|照水 入殿 窥人 临江
[问句 3]
山夜|何人 谁家|月下 竹外 松外|敲 来 歌 醉；通|何处 谁家|笛声 箫声 琴声|近 远 断 怨
通|何日 何年 几时|归信 故友 乡信|到；秋|何处 谁家|砧声 寒杵|动 响 近
江|谁家 何处|小艇 钓艇|泊 系 去；山|何处 几处|钟声 樵响|断 起 近
春夏|谁家 几处|新燕 粉蝶|语 入 戏 舞；田|谁家 几处|鸡犬 村鼓|静 闹 响
旅|几人 何日|车马 征马|到 去；夜|谁家 几处|砧杵 更鼓|动 断 尽；边|何处 谁家|羌笛 边角|怨 动 起
边|几人 何人|塞外 关外|死 老；古|何处 谁家|旧燕 旧主|去 在 散
通|何处 谁家|笛声 箫声 歌声|起 来 残 清；秋|何处 谁家|砧声 寒杵|急 残 哀 寒
通|何日 何年 几时|归帆 故人 乡信 佳客|来 到 归 还；江|何处 几处|归帆 孤舟|泊 停 来 迟
江|谁家 几处|渔火 钓灯|明 红 残；山|何处 几处|钟声 清磬|来 微 清；山|谁人 何人|松下 月下|眠 歌
田|谁家 几处|炊烟 鸡声|起 斜 喧；田|谁家 几家|新酒|香 熟 成
春|何处 谁家 几处|桃花 海棠 杏花|开 红 香；春|几树 几家|杨柳 垂柳|青 新 垂
夏|谁家 几处|荷花 莲花|香 开；夏|谁家 几处|蝉声 蛙声|喧 多 急；秋|何处 几处|枫叶 霜叶|红 丹 飞
秋|何处 谁家|黄菊 丹桂|香 残 开；冬|何处 谁家|寒梅 早梅|香 开 残；旅|何处 几人|乡路 客路|通 遥 长
旅|几人 何人|亭下 渡口|愁 留 啼 迟；夜|谁家 何处|残烛 孤灯|明 寒 残 昏
夜|几人 何人|楼上 窗下|愁 眠 吟；边|何处 几处|烽火 边火|明 红 残；边|几人 何人|马上 塞下|归 还 悲
古|何处 几处|宫殿 楼阁|倾 荒；古|几人 何人|陵下 碑下|游 悲 吟；园|谁家 几处|箫鼓 秋千|喧 闲 高
[年年 2.5]
春|年年 岁岁 处处|芳草 春草 垂柳|生 青 新 绿 长 碧；春|家家 处处 朝朝|燕子 黄莺|飞 来 啼 语 到
春|村村 处处 树树|桃李 红杏|开 香 红 放 发；夏|家家 处处 户户|榴火 荷气|红 浓 清 近 满
夏|村村 处处 树树|蝉噪 蝉响|喧 齐 长 乱 急 静；秋|年年 岁岁 夜夜|秋雁 寒雁|归 来 飞 过 去 到
秋|家家 夜夜 户户|砧杵 寒杵|寒 哀 忙 响 急 动；秋|山山 树树 处处|枫叶 秋色|丹 红 深 落 老 重
冬|年年 岁岁 处处|梅蕊 寒梅|香 开 新 发 放 白；冬|山山 村村 处处|白雪 飞雪|飘 深 寒 落 下 舞
江|年年 朝朝 夜夜|潮水 江水|来 流 平 去 落 涨；江|朝朝 夜夜 处处|渔唱 棹歌|闻 长 清 起 响 远
山|朝朝 暮暮 日日|云气 山色|浮 深 青 淡 近 翠；山|朝朝 夜夜 暮暮|钟磬 泉响|清 鸣 微 起 细 动
田|家家 户户 村村|新酒 村酒|香 红 温 熟 绿 满；田|村村 家家 处处|桑叶 桑麻|青 长 齐 绿 暗 密
田|村村 朝朝 家家|鸡犬 牛犊|喧 鸣 归 闹 静 卧；旅|年年 岁岁 日日|客路 归路|长 遥 难 远 断
旅|年年 夜夜 处处|客恨 乡思|生 添 深 重 乱 满；夜|夜夜 年年 岁岁|归梦 乡梦|空 残 长 断 远
夜|夜夜 年年|江月 明月|圆 来 明 满 白 落；边|年年 岁岁 夜夜|烽火 边火|红 明 寒 照 动 起
边|年年 岁岁 处处|战骨 征骨|寒 枯 埋 白 冷；边|夜夜 朝朝 年年|羌笛 胡角|悲 哀 吹 怨 苦 起
古|年年 岁岁 代代|江水 山月|流 明 来 去 在 冷；古|年年 岁岁 处处|宫草 陵草|生 青 荒 绿 碧 满
园|朝朝 日日 处处|花影 竹影|移 清 浓 动 静 乱；园|朝朝 夜夜 日日|琴韵 歌韵|清 长 闲 静 远
[如似 2.5]
春|梨花 柳絮|白 轻|如雪 似雪 如烟；春|桃花 红杏|红 浓|似火 似锦 如霞 如云
春|春水 春江|碧 绿|似玉 如染 如油；夏|榴花 榴火|红 明|似火 似锦 如霞
夏|荷叶 荷盖|圆 翠|似盖 如玉 如云；夏|凉夜 凉风 凉月|清 淡|似水 如水 如秋
秋|月色 秋月|白 寒 冷|似水 似雪 如霜 如冰；秋|枫叶 霜叶|红 丹|似火 似锦 如霞 如花
秋|芦花 荻花|白 轻|似雪 如絮 如霜 如云；冬|飞雪 雪片|轻 白|似絮 如絮 如花 如烟
冬|寒梅 玉梅|清 瘦|似玉 似鹤 如人 如僧；江|小艇 归舟|轻 小|似叶 如叶 如鸥
江|江水 湖水|平 明|似玉 如练 如天 如冰；夜|归梦 乡梦|轻 淡|似絮 似水 如烟 如云
夜旅|客愁 离恨|深 长|似海 似水 如江 如川；旅|别恨 归思|乱 多|似草 似絮 如丝 如麻
边|宝剑 铁甲|寒 冷|似雪 似水 如冰 如霜；边|新月 边月|弯 冷|似剑 如玉 如弓
山|山色 石壁|青 翠|似玉 似染 如天 如烟；山|茶烟 香雾|轻 淡|似梦 如梦 如云 如丝
田春夏|麦陇 新秧|青 绿|似染 如染 如云；古|往事 旧事 世事|空 远|似梦 似水 如烟 如云
通|落日 晚霞|红 明|似火 似锦 如丹 如花；园|竹影 花影|清 淡|似水 似梦 如烟 如云
[虚词 4]
旅|莫问 休问 谁识|别情 离情 客情|苦 重 浓 多；古|莫问 谁识|兴亡 功名|事 恨 多
旅|不见 遥忆|长安 江南|路 远 日 春；旅|送君 别君|千里 古渡 江路|外 远 去 行
旅夜|忆君 待君|明月 今夜|下 来 时；旅|莫言 休言|归路 世路 前路|远 近 难 长
夜|谁怜 独怜 可怜|孤影 残烛 今夜|瘦 尽 寒 明；春|独惜 可惜 谁怜|春色 落花|尽 暮 残 飞
秋|独怜 可怜 最爱|黄菊 秋月 枫叶|冷 白 清 红；古|莫言 休言 不言|兴废 往事 今古|恨 事 空
山|莫言 休言|山路 岩径|险 远 难 深；边|谁怜 可怜|老将 战骨 征客|白 苦 寒 归
江|可怜 独怜|江上 浪里|客 叟 人 舟；通|且喜 更爱|山色 云影|近 好 净 清
山江田园|不问|尘事 世事|忙 闹 多；夜|不知 应是|更漏 残烛|尽 断 残 催
古|谁识 谁念|旧主 旧事|在 尽 去；边|遥念 谁念|戍卒 老将|苦 老 瘦 还
园|且喜 不觉|幽径 芳径|静 曲 深 香；江|且喜 不问|风浪 潮水|静 落 高 平
田秋|且喜 闲看|新稻 新谷 秋谷|熟 黄 成；田|且喜 又见|邻叟 野老|醉 归 来
旅|莫愁 休问 莫问|前路 归路 客路|远 长 难；旅|且喜 忽见 又见|故人 归雁 旧友|来 逢 还
旅|不知 谁念 遥念|游子 征客|愁 归 寒 老；旅|相思 相望 相忆|千里 万里|远 外 心
旅江|相送 相别 相看|江路 古渡|远 晚 长；夜|不知 谁念 应是|今夜|寒 静 凉
夜|唯有 独有 只有|明月 江月|照 知 来；夜|唯有 独有 只有|孤影 残烛|伴 知
夜|莫问 谁解 谁识|归梦 客梦 乡梦|短 长；春|忽见 又见 遥见|桃花 杏花|发 开 红
春|忽见 又见 遥见|柳色|绿 新 青；春|莫待 休待 最惜|春色 芳草|尽 歇 深
春|应是 知是 不觉|春意 花信|到 来 深；夏|最爱 更爱 独爱|荷气 竹影|好 清 凉
夏|忽觉 不觉 渐觉|衣袖|冷 凉；秋|忽见 又见 遥见|秋雁 归雁|过 飞 来 去
秋|忽见 又见 遥见|霜叶 枫叶|落 飞 红；秋|忽见 又见|黄菊|发 开 残
秋|不觉 渐觉 已觉|秋色 霜气|重 深 寒；秋|莫听 休听|寒蛩 砧杵|夜 鸣 声
冬|忽见 又见 遥见|梅蕊 早梅|发 开 香；冬|不觉 渐觉 已觉|衣袖|冷 寒
冬|且喜 最爱 更爱|炉火 新酒|暖 温 香；江|唯有 独有 只有|江月 白鸥|在 知 来 闲
江|遥见 忽见 又见|归棹 渔火|近 来 明；山|唯有 独有 只有|山月 松影|在 知 来 清
山|莫问 休问 不问|尘事 世事 人世|喧 忙 名；山|最爱 更爱 独爱|山色 松下|好 青 清
田|最爱 更爱 独爱|田舍 村酒|好 闲 香；田|同话 共话 闲话|禾黍 桑麻|熟 长 成
边|不见 遥念 谁念|家国 征客|远 书 归 寒；边|莫问 休问|功名 生死|事 名 成
古|莫问 休问 谁识|兴废 前代 往事|恨 年 空；古|唯有 独有 只有|江月 山月 江水|在 流 明
园|最爱 更爱 独爱|花影 竹影|好 清 闲；园|相对 共赏 同赏|明月 新句|好 清
"""


class Frame(NamedTuple):
    """A verse with slots to fill."""

    pattern: str
    tag: str
    slots: list[list[str]]


class Verse(NamedTuple):
    """A verse of five characters, and the form by which it is paired with another verse."""

    text: str
    form: tuple[str, ...]  # the pattern and the kind of each word
    frame: int  # index of the frame it comes from
    flavour: int  # how typical it is of season and scene

    @property
    def pairing(self) -> tuple[str, ...]:
        """Returns the part of the form that both verses of a couplet must share."""
        return self.form[:1] + tuple(k if k in STRICT_KINDS else "词" for k in self.form[1:])


Shelf = dict[int, list[Verse]]  # verses by frame


class Book(NamedTuple):
    """All verses of a season and a scene, indexed for drawing."""

    upper: dict[tuple[str, ...], Shelf]  # first verses by pairing
    lower: dict[tuple[str, str], Shelf]  # second verses by rhyme and pattern
    answers: dict[tuple[str, ...], Shelf]  # second verses by (rhyme, *pairing)
    containing: dict[str, list[Verse]]  # all verses by character


class Ledger(NamedTuple):
    """Counts of what has been composed so far."""

    chars: Counter[str]
    verses: Counter[str]
    patterns: Counter[str]
    couplets: set[str]

    def enter(self, couplet: str, pattern: str = "") -> None:
        """Counts a couplet, and its pattern if it was composed from one."""
        self.chars.update(couplet)
        self.verses.update(verses_of(couplet))
        self.couplets.add(couplet)
        if pattern:
            self.patterns[pattern] += 1


def verses_of(couplet: str) -> list[str]:
    """Splits a couplet into its two verses."""
    return couplet.rstrip("。\n").split("，")


def parse_words(source: str) -> dict[str, list[tuple[str, str]]]:
    """Reads ``WORDS``.

    Args:
        source: Lines like ``name tag:word word tag:word``.

    Returns:
        The (tag, word) pairs of each list.
    """
    lists: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in source.strip().splitlines():
        name, *tokens = line.split()
        tag = "通"
        for token in tokens:
            head, colon, word = token.rpartition(":")
            tag = head if colon else tag
            lists[name].append((tag, word))
    return lists


def parse_frames(source: str) -> tuple[list[Frame], dict[str, float]]:
    """Reads ``FRAMES``.

    Args:
        source: Frames under headings like ``[pattern share]``.

    Returns:
        The frames, and the share of each pattern in the corpus.
    """
    frames = []
    shares = {}
    pattern = ""
    for line in source.strip().splitlines():
        if line.startswith("["):
            pattern, share = line.strip("[]").split()
            shares[pattern] = float(share)
            continue
        for frame in line.split("；"):
            tag, *slots = frame.split("|")
            frames.append(Frame(pattern, tag, [slot.split() for slot in slots]))
    total = sum(shares.values())
    return frames, {pattern: share / total for pattern, share in shares.items()}


RHYMES_OF = {c: [r for r in RHYMES if c in RHYMES[r]] for c in "".join(RHYMES.values())}
WORD_LISTS = parse_words(WORDS)
FRAME_LIST, SHARES = parse_frames(FRAMES)


def is_level(char: str) -> bool:
    """Returns whether a character has a level tone (平)."""
    return char in RHYMES_OF


def fits(tag: str, season: str, scene: str) -> bool:
    """Returns whether a tag allows a season and a scene."""
    seasons = [c for c in tag if c in SEASONS]
    scenes = [c for c in tag if c in SCENES]
    return (not seasons or season in seasons) and (not scenes or scene in scenes)


def kind_of(word: str) -> str:
    """Returns the kind of a word for parallelism, see ``KINDS``."""
    if len(word) == 1:
        return "字"
    if word[0] == word[1]:
        return "叠"
    for kind, first, last in KINDS:
        if word[0] in first or word[-1] in last:
            return kind
    return "名"


def expand(slot: Iterable[str], season: str, scene: str) -> Iterator[tuple[str, int]]:
    """Yields the words of a slot, each with 1 if it belongs to the season, else 0."""
    for word in slot:
        if not word.startswith("@"):
            yield word, 0
            continue
        for tag, listed in WORD_LISTS[word[1:]]:
            if fits(tag, season, scene):
                yield listed, int(season in tag)


def is_sound(text: str, form: tuple[str, ...], season: str) -> bool:
    """Returns whether a verse fits its season and repeats no character but in reduplications."""
    if len(set(text)) != len(text) - form.count("叠"):
        return False
    return not any(c in text for c in UNSEASONABLE[season])


def all_verses(season: str, scene: str) -> Iterator[Verse]:
    """Yields every verse that the frames allow for a season and a scene."""
    for number, (pattern, tag, slots) in enumerate(FRAME_LIST):
        if not fits(tag, season, scene):
            continue
        bonus = int(season in tag) + int(scene in tag)
        for words in itertools.product(*(list(expand(slot, season, scene)) for slot in slots)):
            text = "".join(word for word, _ in words)
            form = (pattern, *(kind_of(word) for word, _ in words))
            if is_sound(text, form, season):
                yield Verse(text, form, number, min(2, bonus + sum(s for _, s in words)))


def open_book(season: str, scene: str) -> Book:
    """Indexes the verses of a season and a scene by their possible uses."""
    upper, lower, answers = (defaultdict(lambda: defaultdict(list)) for _ in range(3))
    containing = defaultdict(list)
    for verse in all_verses(season, scene):
        if not is_level(verse.text[-1]):
            upper[verse.pairing][verse.frame].append(verse)
        for rhyme in RHYMES_OF.get(verse.text[-1], ()):
            lower[rhyme, verse.form[0]][verse.frame].append(verse)
            answers[rhyme, *verse.pairing][verse.frame].append(verse)
        for char in dict.fromkeys(verse.text):
            containing[char].append(verse)
    return Book(upper, lower, answers, containing)


def draw(rng: random.Random, shelf: Shelf) -> Verse | None:
    """Draws a verse with equal probability per frame; returns ``None`` if the shelf is empty."""
    return rng.choice(shelf[rng.choice(list(shelf))]) if shelf else None


def draw_pair(
    rng: random.Random, book: Book, rhyme: str, pattern: str, rare: list[str]
) -> tuple[Verse, Verse] | None:
    """Draws two verses that may form a couplet; returns ``None`` if none match.

    Args:
        rng: The random number generator.
        book: The verses to draw from.
        rhyme: The rhyme of the second verse.
        pattern: The pattern of both verses, unless a rare character is drawn first.
        rare: Characters that are to be used more often.
    """
    first: Verse | None = None
    second: Verse | None = None
    if rare and rng.random() < RARE_SHARE:
        verse = rng.choice(book.containing[rng.choice(rare)])
        if not is_level(verse.text[-1]):
            first = verse
            second = draw(rng, book.answers.get((rhyme, *verse.pairing), {}))
        elif rhyme in RHYMES_OF[verse.text[-1]]:
            second = verse
    else:
        second = draw(rng, book.lower.get((rhyme, pattern), {}))
    if second and not first:
        first = draw(rng, book.upper.get(second.pairing, {}))
    return (first, second) if first and second else None


def clashes(text: str) -> bool:
    """Returns whether a text combines incompatible images, see ``CLASHES``."""
    return any(
        any(c in text for c in left) and any(c in text for c in right) for left, right in CLASHES
    )


def is_couplet(pair: tuple[Verse, Verse], earlier: str, ledger: Ledger) -> bool:
    """Returns whether two verses are a couplet that may follow the first one of the poem."""
    first, second = pair
    if first.frame == second.frame or set(first.text) & set(second.text):
        return False
    if max(ledger.verses[first.text], ledger.verses[second.text]) >= MAX_USES:
        return False
    if clashes(earlier + first.text + second.text):
        return False
    return f"{first.text}，{second.text}。" not in ledger.couplets


def score(pair: tuple[Verse, Verse], earlier: str, ledger: Ledger) -> float:
    """Scores a couplet: balance of patterns and characters, tones, parallelism, repetition."""
    first, second = pair
    text = first.text + second.text
    pattern = first.form[0]
    excess = ledger.patterns[pattern] / max(50, ledger.patterns.total()) - SHARES[pattern]
    novelty = sum(1 / (1 + ledger.chars[c] / 25) for c in text) / 5
    novelty += sum(max(0, RARE - ledger.chars[c]) for c in text) / RARE
    opposed = sum(is_level(first.text[i]) != is_level(second.text[i]) for i in (1, 3))
    swinging = sum(is_level(v.text[1]) != is_level(v.text[3]) for v in pair)
    parallel = sum(a == b for a, b in zip(first.form, second.form, strict=True))
    flavour = first.flavour + second.flavour
    echoes = sum(c in earlier for c in text)
    reuse = ledger.verses[first.text] + ledger.verses[second.text]
    merits = novelty + 0.12 * (opposed + parallel) + 0.06 * swinging + 0.1 * flavour
    return merits - 4 * excess - 0.4 * echoes - 0.5 * reuse


def rare_chars(book: Book, ledger: Ledger) -> list[str]:
    """Returns the characters of a book that are to be used more often."""
    rarest = sorted(book.containing, key=lambda c: ledger.chars[c])[:NUM_RARE]
    return [c for c in rarest if ledger.chars[c] < RARE]


def choose_rhyme(rng: random.Random, book: Book, ledger: Ledger) -> str:
    """Chooses a rhyme, preferably that of a verse with a rare character."""
    rare = rare_chars(book, ledger)
    if rare and rng.random() < RARE_SHARE:
        last = rng.choice(book.containing[rng.choice(rare)]).text[-1]
        if is_level(last):
            return rng.choice(RHYMES_OF[last])
    return rng.choice(list(RHYMES))


def best_pair(
    rng: random.Random, book: Book, rhyme: str, earlier: list[Verse], ledger: Ledger
) -> tuple[Verse, Verse] | None:
    """Composes one couplet of a poem.

    Args:
        rng: The random number generator.
        book: The verses to draw from.
        rhyme: The rhyme of the poem.
        earlier: The verses of the first couplet, empty if this is the first.
        ledger: Counts of what has been composed so far.

    Returns:
        The best of some candidates, or ``None`` if there are too few.
    """
    rare = rare_chars(book, ledger)
    patterns = rng.choices(list(SHARES), list(SHARES.values()), k=TRIES)
    text = "".join(verse.text for verse in earlier)
    candidates = []
    for pattern in patterns:
        pair = draw_pair(rng, book, rhyme, pattern, rare)
        if pair is None or not is_couplet(pair, text, ledger):
            continue
        if earlier and (
            pair[1].text[-1] == earlier[1].text[-1] or pair[1].form[0] == earlier[1].form[0]
        ):
            continue
        candidates.append(pair)
        if len(candidates) == CANDIDATES:
            break
    if len(candidates) < CANDIDATES // 6:
        return None
    return max(candidates, key=lambda pair: score(pair, text, ledger))


def compose() -> str:
    """Composes the whole corpus.

    Returns:
        The text of ``poetry.txt``.
    """
    rng = random.Random(SEED)
    ledger = Ledger(Counter(), Counter(), Counter(), set())
    poems = [[poem[:12], poem[12:]] for poem in HANDWRITTEN.split()]
    for couplet in itertools.chain.from_iterable(poems):
        ledger.enter(couplet)
    settings = [(season, scene) for scene, seasons in SCENES.items() for season in seasons]
    books = {setting: open_book(*setting) for setting in dict.fromkeys(settings)}
    while len(poems) < NUM_POEMS:
        book = books[rng.choice(settings)]
        rhyme = choose_rhyme(rng, book, ledger)
        first = best_pair(rng, book, rhyme, [], ledger)
        second = best_pair(rng, book, rhyme, list(first), ledger) if first else None
        if first is None or second is None:
            continue
        poem = [f"{pair[0].text}，{pair[1].text}。" for pair in (first, second)]
        for couplet, pair in zip(poem, (first, second), strict=True):
            ledger.enter(couplet, pair[0].form[0])
        poems.append(poem)
    rng.shuffle(poems)
    return "".join(f"{couplet}\n" for poem in poems for couplet in poem)


def check_rules(text: str) -> None:
    """Asserts the properties of the corpus that chapter 12 relies on.

    Args:
        text: The text of ``poetry.txt``.
    """
    couplets = text.splitlines()
    counts = Counter(text)
    verses = Counter(verse for couplet in couplets for verse in verses_of(couplet))
    assert 66_000 <= len(text) <= 80_000, len(text)
    assert len(counts) <= 900, len(counts)
    rare = {char: n for char, n in counts.items() if n < 20}
    assert not rare, f"too rare to be learned: {rare}"
    assert len(set(couplets)) == len(couplets), "a couplet occurs twice"
    assert max(verses.values()) <= 6, verses.most_common(1)
    for couplet in couplets:
        well_formed = len(couplet) == 12 and couplet[5] == "，" and couplet[11] == "。"
        letters = couplet[:5] + couplet[6:11]
        assert well_formed and all("\u4e00" <= c <= "\u9fff" for c in letters), couplet


def show(text: str, num_poems: int) -> None:
    """Prints some poems, drawn at random, and the statistics of the corpus.

    Args:
        text: The text of ``poetry.txt``.
        num_poems: How many poems to print.
    """
    couplets = text.splitlines()
    rng = random.Random()
    for start in rng.sample(range(0, len(couplets), 2), num_poems):
        print(couplets[start] + couplets[start + 1])
    counts = Counter(text)
    split = round(len(couplets) * (1 - HELD_OUT))
    seen = {verse for couplet in couplets[:split] for verse in verses_of(couplet)}
    held_out = [verse for couplet in couplets[split:] for verse in verses_of(couplet)]
    share = sum(verse in seen for verse in held_out) / len(held_out)
    by_hand = 2 * len(HANDWRITTEN.split())
    rarest = min(counts.values())
    print(f"{len(text)} characters, {len(counts)} distinct, the rarest {rarest} times")
    print(f"{len(couplets)} couplets, {by_hand} of them by hand")
    print(f"{share:.1%} of the held-out verses also occur in the first {1 - HELD_OUT:.0%}")


def main(argv: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description="Compose poetry.txt, the corpus of chapter 12.")
    parser.add_argument("--check", action="store_true", help="compare with poetry.txt only")
    parser.add_argument("--show", type=int, metavar="N", help="print N poems only")
    args = parser.parse_args(argv)
    text = compose()
    check_rules(text)
    if args.show is not None:
        show(text, args.show)
    elif args.check:
        same = POETRY_FILE.is_file() and POETRY_FILE.read_bytes() == text.encode()
        print(f"{POETRY_FILE.name} {'is up to date' if same else 'is out of date'}")
        return 0 if same else 1
    else:
        POETRY_FILE.write_bytes(text.encode())
        print(f"{POETRY_FILE.name}: {text.count('。')} couplets, {len(set(text))} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
