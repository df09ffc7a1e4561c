import pytest

from songbloom.lyrics import chinese_numbers, numbers


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("21", "twenty-one"),
        ("123", "one hundred twenty-three"),
        ("1000", "one thousand"),
        ("1005", "ten oh five"),
        ("1900", "nineteen hundred"),
        ("1999", "nineteen ninety-nine"),
        ("2000", "two thousand"),
        ("2009", "two thousand nine"),
        ("2024", "twenty twenty-four"),
        ("3001", "three thousand one"),
        ("4567", "four thousand, five hundred sixty-seven"),
        ("1000001", "one million one"),
        ("13800138000", "thirteen billion, eight hundred million, one hundred thirty-eight thousand"),
        ("1st", "first"),
        ("12th", "twelfth"),
        ("20th", "twentieth"),
        ("101st", "one hundred and first"),
        ("1234th", "one thousand, two hundred and thirty-fourth"),
        ("£5", "five pounds"),
        ("1980s", "nineteen eightys"),
    ],
)
def test_english_numbers(digits, words):
    assert numbers.expand(digits) == words


def test_the_largest_number_with_a_name():
    assert numbers.cardinal(numbers.LARGEST).startswith("nine hundred ninety-nine decillion, ")
    with pytest.raises(OverflowError):
        numbers.cardinal(numbers.LARGEST + 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2024年", "二零二四年"),
        ("第3次", "第三次"),
        ("2个", "两个"),
        ("15天", "十五天"),
        ("我有105块", "我有一百零五块"),
        ("10010人", "一万零一十人"),
        ("20000天", "二万天"),
        ("100000008天", "一亿零八天"),
        ("心跳50%", "心跳百分之五十"),
        ("爱你3.14倍", "爱你三点一四倍"),
        ("拨打007吧", "拨打零零七吧"),
        ("7 eleven 24", "7 eleven 24"),
    ],
)
def test_figures_next_to_chinese_are_chinese(text, words):
    assert chinese_numbers.expand(text) == words
