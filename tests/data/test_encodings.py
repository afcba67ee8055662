"""Files as Excel and editors of other countries write them: the encoding is found, or asked for, never guessed."""

import gzip
import zipfile

import pytest

from tests.conftest import rows_of
from tfbert import TASKS, InputError, load_config, load_tokenizer, make_dataset, run
from tfbert.data.encodings import guess_encoding
from tfbert.data.sources import read_examples

GERMAN = "Text;Art\nDer Drucker ist für mich kaputt;ja\nMüller grüßt schöne Grüße aus Köln;nein\n"
FRENCH = "texte;genre\nJe ne peux pas accéder à mon compte;oui\nL’été déjà ! « ici » – Ça, été créée\xa0: 5 €;non\n"
SPANISH = "text;label\n¿Dónde está mi contraseña?;x\n¡Señor! ¿Cómo?;y\n"
SWEDISH = "text;label\nJag kan inte öppna båten på ön;x\n"
CHINESE = "text,label\n打印机坏了,投诉\n我的账户登录不了,咨询\n“物流也快！”——推荐，价格１９９元。,好评\n"
MIXED = "text,label\nThe 打印机 is down please help me with my account,x\n"
POLISH = "text;label\nDrukarka nie działa, proszę o pomoc;x\nZażółć gęślą jaźń;y\n"
CZECH = "text;label\nPříliš žluťoučký kůň úpěl ďábelské ódy;x\nTiskárna nefunguje, prosím;y\n"
TURKISH = "text;label\nYazıcı çalışmıyor, lütfen yardım edin;x\nşifremi değiştirdiğim;y\n"
RUSSIAN = "text;label\nПринтер не работает, помогите;x\nСпасибо, всё хорошо;y\n"
GREEK = "text;label\nΟ εκτυπωτής δεν λειτουργεί;x\n"
KOREAN = "text,label\n프린터가 고장 났어요 도와주세요,x\n감사합니다 아주 좋아요,y\n"
JAPANESE = "text,label\nプリンターが壊れました。助けてください,x\nとても良い製品です,y\n"
TRADITIONAL = "text,label\n這個產品品質很好，我非常喜歡,好\n印表機壞了，請幫忙,差\n"
ALL = [GERMAN, FRENCH, SPANISH, SWEDISH, CHINESE, MIXED, POLISH, CZECH, TURKISH, RUSSIAN, GREEK, KOREAN, JAPANESE]
FOUND = [(GERMAN, "cp1252"), (FRENCH, "cp1252"), (SPANISH, "cp1252"), (SWEDISH, "cp1252"), (CHINESE, "gb18030"),
         (MIXED, "gb18030")]  # fmt: skip
UNCERTAIN = [(POLISH, "cp1250"), (CZECH, "cp1250"), (TURKISH, "cp1254"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"),
             (GREEK, "cp1253"), (KOREAN, "euc-kr"), (JAPANESE, "shift_jis"), (JAPANESE, "euc-jp"),
             (TRADITIONAL, "big5")]  # fmt: skip


@pytest.mark.parametrize("text,encoding", FOUND)
def test_what_is_certain_is_found(text, encoding):
    assert guess_encoding(text.encode(encoding)) == encoding
    assert guess_encoding(b"text,label\n" + b"hello there,x\n" * 300 + text.encode(encoding)) == encoding


@pytest.mark.parametrize("text,encoding", UNCERTAIN)
def test_what_is_not_is_not(text, encoding):
    assert guess_encoding(text.encode(encoding)) is None


@pytest.mark.parametrize("text", ALL)
def test_unicode_is_always_found(text):
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        assert guess_encoding(text.encode(encoding)) == encoding
    cut = text.encode()[:-4]
    for end in range(len(cut) - 4, len(cut)):
        assert guess_encoding(cut[:end], whole=False) == "utf-8"


def test_damaged_utf8_is_not_taken_for_another(tmp_path):
    (tmp_path / "a.csv").write_bytes("text;label\nl'été déjà;x\n".encode() + b"d\xe9j\xe0;x\n")
    with pytest.raises(InputError, match=r"a.csv, line 3: not UTF-8 text \(byte 0xe9\); name its encoding, such as"):
        list(read_examples(str(tmp_path / "a.csv")))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "text,encoding,name",
    [
        *((text, encoding, encoding) for text, encoding in FOUND[:2] + FOUND[4:5]),
        (GERMAN, "utf-8-sig", "utf-8"),
        (GERMAN, "utf-16", "utf-16-le"),
        (GERMAN, "utf-32", "utf-32-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
    ],
)
def test_rows_are_read_and_the_format_is_told_once(tmp_path, capsys, text, encoding, name, packed):
    content, path = text.encode(encoding), str(tmp_path / ("a.csv.gz" if packed else "a.csv"))
    with open(path, "wb") as file:
        file.write(gzip.compress(content) if packed else content)
    column, second = text.splitlines()[0].split(";" if ";" in text else ",")
    for _ in range(2):
        found = [[row["text"], row["label"]] for row in read_examples(path, column, label_column=second)]
        assert found == [line.split(";" if ";" in text else ",") for line in text.splitlines()[1:]]
    said = capsys.readouterr().out
    assert said.count("\n") == (name != "utf-8" or ";" in text)
    assert (f"encoding {name}" in said) == (name != "utf-8")
    assert ("fields separated by ';'" in said) == (";" in text)


@pytest.mark.parametrize("ending", ["txt", "jsonl", "json"])
def test_other_text_files(tmp_path, capsys, ending):
    content = {"txt": "für\n", "jsonl": '{"text": "für"}\n', "json": '[{"text": "für"}]'}[ending]
    path = tmp_path / f"a.{ending}"
    for encoding in ("cp1252", "utf-16"):
        path.write_bytes(content.encode(encoding))
        assert [row["text"] for row in read_examples(str(path))] == ["für"]
    path.write_bytes(content.replace("für", "żółć").encode("cp1250"))
    assert capsys.readouterr().out.count(": encoding ") == 2
    with pytest.raises(InputError, match="not UTF-8 text"):
        list(read_examples(str(path)))
    assert [row["text"] for row in read_examples(str(path), encoding="cp1250")] == ["żółć"]
    assert capsys.readouterr().out == ""


def test_the_first_other_character_may_stand_far_down(tmp_path):
    rows = "text;label\n" + "hello there;x\n" * 40_000 + "schöne Grüße;y\n"
    (tmp_path / "a.csv").write_bytes(rows.encode("cp1252"))
    assert list(read_examples(str(tmp_path / "a.csv")))[-1]["text"] == "schöne Grüße"


def test_flags_say_otherwise(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label;x\nа, б;в\n".encode("cp1251"))
    [row] = read_examples(str(path), "text,label", label_column="x", delimiter=";", encoding="cp1251")
    assert (row["text"], row["label"]) == ("а, б", "в")
    path.write_bytes(b"text\tlabel\na,b\tx\n")
    for tab in ("tab", r"\t", "\t"):
        assert next(iter(read_examples(str(path), delimiter=tab)))["text"] == "a,b"
    path.write_bytes("\ufefftext\tlabel\nä\tx\n".encode())
    assert next(iter(read_examples(str(path), encoding="UTF8")))["text"] == "ä"
    path.write_bytes("text,label\na,x\nä,x\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"a.csv, line 3: not gb18030 text \(byte 0xe4\)"):
        list(read_examples(str(path), encoding="gb18030"))
    assert capsys.readouterr().out.count("separated") == 1  # by the tab that "a.csv" has, once told


@pytest.mark.parametrize(
    "flag,value", [("encoding", "base64"), ("encoding", "latin-99"), ("delimiter", ";;"), ("delimiter", '"')]
)
def test_what_is_none_is_refused_at_the_door(flag, value):
    with pytest.raises(InputError, match=f"--{flag} must be one .* Received: '{value}'"):
        load_config(**{flag: value})


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods", "a.csv"])
def test_a_spreadsheet_is_told_how_to_export(tmp_path, name):
    with zipfile.ZipFile(tmp_path / name, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(InputError, match=f"{name} is a spreadsheet, .* Excel with File > Save As > CSV UTF-8"):
        list(read_examples(str(tmp_path / name)))


def test_the_settings_reach_every_reader(tiny, tmp_path):
    (tmp_path / "a.csv").write_bytes("text|label\nпривет, мир|x\nда|y\n".encode("cp1251"))
    settings = {"delimiter": "|", "encoding": "cp1251"}
    config = {"train_file": f"{tmp_path}/a.csv", "preset": tiny, **settings}
    assert "Labels: x (1, 50.0%), y (1, 50.0%)." in run(load_config(mode="inspect", **config))["findings"]
    arguments = load_tokenizer(tiny), TASKS["classification"](["x", "y"])
    given = make_dataset(f"{tmp_path}/a.csv", *arguments, **settings)
    same = make_dataset(rows_of(["привет, мир", "да"], ["x", "y"]), *arguments)
    assert given.examples.fingerprint == same.examples.fingerprint
    found = run(load_config(mode="vocabulary", vocab_size=40, output_dir=f"{tmp_path}/vocabulary", **config))
    with open(found["vocabulary"], encoding="utf-8") as file:
        assert "привет"[0] in file.read()
