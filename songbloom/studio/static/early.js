// Runs before Gradio does, which takes its language from the browser's and its colours from a class of the body.
(() => {
  const read = (name) => {
    try {
      return localStorage.getItem(`songbloom.${name}`);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const wished = new URLSearchParams(location.search).get("lang") ?? read("language") ?? navigator.language;
  const language = wished.toLowerCase().startsWith("zh") ? "zh" : "en";
  Object.defineProperty(navigator, "language", { get: () => (language === "zh" ? "zh-CN" : "en") });
  document.documentElement.lang = language;
  const dark = read("theme") ? read("theme") === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  window.SONGBLOOM.language = language;
  window.SONGBLOOM.dark = dark;
  const paint = () => document.body?.classList.toggle("dark", window.SONGBLOOM.dark);
  addEventListener("DOMContentLoaded", paint);
  paint();
})();
